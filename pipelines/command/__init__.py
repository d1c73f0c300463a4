"""What every command needs: flags, inputs, Beam options, the run of a job, progress.

Knows no job. May import `transforms.storage`, `transforms.inputs` and below.
"""
