"""Where a pipeline runs: Beam's options, what a launch checks, runners of our own.

Knows no job and no command; may import `transforms.storage` and below.
"""
