"""What a data set tells of itself to other people's readers and to people.

TFDS's features and data set info, the data card (README.md) and Croissant. Knows what
is known of pictures, and no job. May import what lies below `steps`.
"""
