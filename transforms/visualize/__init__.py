"""Looking into a network: maps, gradients, filters, top images, their gallery.

The room of `stylebeam visualize`. May import any room that is not a job's.
"""
