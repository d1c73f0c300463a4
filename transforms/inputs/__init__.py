"""What is there to read: roots, folders, archives, and one listing of them.

This room yields references and bytes, never pixels. It may import `transforms.storage`
and below.
"""
