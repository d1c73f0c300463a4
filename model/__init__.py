"""Arrays in, arrays out: networks, losses, bundles; TensorFlow and NumPy only."""
