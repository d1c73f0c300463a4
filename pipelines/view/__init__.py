"""`view`: the pages of an output in a browser, wherever the output is.

A server on this machine that reads and never writes. It knows outputs by their
job.json and by the names of their files, and hands the bytes on: of files, and of the
pictures in shards, which `transforms.shards` finds. May import `pipelines.command` and
what stands below it, and no other command.
"""
