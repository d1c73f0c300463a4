"""Pieces of Beam that several jobs use: failures, networks, equal bytes.

Each piece is about a step of a pipeline, never about one job. The room may import
`transforms.annotations` and below, and `model`.
"""
