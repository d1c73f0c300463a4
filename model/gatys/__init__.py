"""Style transfer by optimisation of one picture, after Gatys et al. (2016).

Builds on `model.networks` alone; knows nothing of AdaIN or of training.
"""
