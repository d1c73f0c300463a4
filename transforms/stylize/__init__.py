"""Contents × styles: pairing, the style bank, blocks of cells, the manifest.

This is the room of `stylebeam stylize`. It may import any room that is not a job's.
"""
