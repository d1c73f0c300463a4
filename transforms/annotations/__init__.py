"""Labels, objects and captions of pictures, and the data sets that hold them.

Several jobs read data sets, so what a data set is stands here, below the jobs. The room
may import `transforms.images` and below.
"""
