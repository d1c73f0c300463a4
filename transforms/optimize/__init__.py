"""Runs of style transfer by optimisation, and the report that compares them.

This is the room of `stylebeam optimize`. It may import any room that is not a job's.
"""
