"""Training a decoder: settings, pairs of crops, the step, checkpoints.

This room builds on `model.networks` and `model.adain`. It reads data sets and starts no
processes.
"""
