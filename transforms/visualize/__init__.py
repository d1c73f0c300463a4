"""Looking into a network: maps, gradients, filters, top images, their gallery.

This is the room of `stylebeam visualize`; `activation` is a part of it. It may import
any room that is not a job's.
"""
