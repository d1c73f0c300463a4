"""Networks for programs that know nothing of stylebeam: SavedModel, TFLite, ONNX.

Each holds the whole way from two pictures to a third, with the weights. Pictures are
float32 RGB `[batch, height, width, 3]` in [0, 1] in all of them. This room builds on
`model.networks` and `model.adain`; a format is a module.
"""
