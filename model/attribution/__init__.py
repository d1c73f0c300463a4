"""Looking into a network: feature maps, gradients, the randomisation check.

This room builds on `model.networks` alone.
"""
