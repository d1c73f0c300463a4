"""Data sets: pictures prepared, spilled, sorted into shards, described for TFDS.

This is the room of `stylebeam ingest`. It may import any room that is not a job's.
"""
