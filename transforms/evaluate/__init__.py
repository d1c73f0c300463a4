"""Bundles judged: the report of held-out grids.

The room of `stylebeam evaluate`. May import any room that is not a job's.
"""
