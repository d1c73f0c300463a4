"""Which pictures are taken in, where nothing else is said.

Apart from the decoder, so that the command line can name them without importing it.
"""

from typing import Final

# Where Pillow itself begins to speak of decompression bombs.
MAX_PIXELS: Final = 89_478_485

MIN_SIDE: Final = 32

# Gradients of larger images need more than 8 GB.
MAX_GRADIENT_PIXELS: Final = 1_500_000
