"""Bytes under names: local and bucket folders, Parquet tables, records, commits.

Knows names, bytes and rows, never what they mean. May import `model.config` and
`transforms.elements`.
"""
