"""The kinds of annotation files beside COCO's instances and captions, read and written.

Each module knows one kind, in and out: Pascal VOC, YOLO, COCO's panoptic files, label
maps, and tables of columns. What they say becomes an `Annotation`.
"""
