"""Networks as layer lists: VGG, encoder, decoder, and what runs them.

Arrays in, arrays out, shapes `[batch, height, width, channels]`. Nothing in here knows
of style transfer. The room may import `model.config`, `model.pixels` and
`model.bundle`.
"""
