"""AdaIN style transfer: the arithmetic, the stylizer, and what judges its pictures.

This room builds on `model.networks`. It knows nothing of training, Gatys runs or
attribution.
"""

from model.adain.adain import AdaptiveInstanceNormalization, adain, channel_moments

# Here `adain` is the function. Its module is reached by `from model.adain.adain`.
__all__ = ["AdaptiveInstanceNormalization", "adain", "channel_moments"]
