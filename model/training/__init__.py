"""Training a decoder: settings, pairs of crops, the step, checkpoints.

Builds on `model.networks` and `model.adain`; reads data sets, starts no processes.
"""
