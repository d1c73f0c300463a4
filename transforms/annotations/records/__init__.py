"""Data sets of other programs whose records hold a picture and what is known of it.

WebDataset, Parquet of pictures, TFDS. Each lists its pictures as references into its
shards, and annotations in the one type. The room may import `transforms.annotations`
beside it and what that may.
"""
