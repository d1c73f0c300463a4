"""Runs of style transfer by optimisation, and the report that compares them.

The room of `stylebeam optimize`. May import any room that is not a job's.
"""
