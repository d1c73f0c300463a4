"""The limits of picture sizes that hold unless a flag says otherwise.

They stand apart from the decoder, so that the command line need not import it.
"""

from typing import Final

# Where Pillow itself begins to speak of decompression bombs.
MAX_PIXELS: Final = 89_478_485

MIN_SIDE: Final = 32

# Gradients of a larger picture in one piece need more than 8 GB.
MAX_GRADIENT_PIXELS: Final = 1_500_000
