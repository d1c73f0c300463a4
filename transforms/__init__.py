"""Beam transforms: one data-parallel task a module, on top of `model`."""
