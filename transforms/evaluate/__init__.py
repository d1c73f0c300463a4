"""Bundles judged: the report of held-out grids.

This is the room of `stylebeam evaluate`. It may import any room that is not a job's.
"""
