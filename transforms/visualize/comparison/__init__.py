"""Comparisons: one photograph in two networks, or a photograph, its style, the result.

What is compared is a subject: some pictures, seen by some networks. Each layer becomes
a sheet with a column for each view; over a collection, the layers of two networks
become a matrix of their similarity. It may import all modules of `transforms.visualize`
but its handler, its sheets of images and its gallery, and what those may.
"""
