"""One picture: bytes to pixels and back, sizes, colours, previews.

This room knows single pictures, never collections. It may import `transforms.inputs`
and below.
"""
