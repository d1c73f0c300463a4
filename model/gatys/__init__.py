"""Style transfer by optimisation of one picture, after Gatys et al. (2016).

This room builds on `model.networks` alone. It knows nothing of AdaIN or of training.
"""
