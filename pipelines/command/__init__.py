"""What every command needs: flags, inputs, the run of a job, progress.

Knows no job. May import `pipelines.engines`, `transforms.storage`, `transforms.inputs`
and below.
"""
