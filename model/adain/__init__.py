"""AdaIN style transfer: the arithmetic, the stylizer, and what judges its pictures.

Builds on `model.networks`; knows nothing of training, Gatys runs or attribution.
"""
