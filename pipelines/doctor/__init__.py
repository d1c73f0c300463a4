"""`stylebeam doctor`: what this machine can do, and what would break a run.

Looks at what other rooms use and writes nothing.
"""
