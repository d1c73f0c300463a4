"""Feature visualization: pictures of what channels, neurons and layers want to see.

Targets are planned in batches that climb together, drawn as sheets and committed. It
may import all modules of `transforms.visualize` but its gallery, and what that may.
"""
