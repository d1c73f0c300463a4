"""`stylebeam verify`: what is wrong with an output, and what can be made again.

One module for each kind of output says what must be true of it. Runs without Beam, in
one process: it reads every file once, in the order of the tables. May import the rooms
of all jobs in `transforms`, and `pipelines.command`.
"""
