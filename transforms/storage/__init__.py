"""Bytes under names: local and bucket folders, Parquet tables, records, commits.

This room knows names, bytes and rows, never what they mean. It may import
`model.config` and `transforms.elements`.
"""
