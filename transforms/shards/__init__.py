"""The pictures of `stylize` in shards, and what the output tells of itself.

A part of the job `stylize`, whose manifest and cells it may import; the only room above
that of a job.
"""
