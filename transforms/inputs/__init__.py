"""What is there to read: roots, folders, archives, and one listing of them.

Yields references and bytes, never pixels. May import `transforms.storage` and below.
"""
