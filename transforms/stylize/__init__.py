"""Contents × styles: pairing, the style bank, blocks of cells, the manifest.

The room of `stylebeam stylize`. May import any room that is not a job's.
"""
