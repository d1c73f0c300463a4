"""Data sets: pictures prepared, spilled, sorted into shards, described for TFDS.

The room of `stylebeam ingest`. May import any room that is not a job's.
"""
