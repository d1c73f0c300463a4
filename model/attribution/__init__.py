"""Looking into a network: feature maps, gradients, the randomisation check.

Builds on `model.networks` alone.
"""
