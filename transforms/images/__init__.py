"""One picture: bytes to pixels and back, sizes, colours, previews.

Knows single pictures, never collections. May import `transforms.inputs` and below.
"""
