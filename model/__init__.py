"""Arrays in, arrays out: networks, losses, bundles. TensorFlow, Keras and NumPy only."""
