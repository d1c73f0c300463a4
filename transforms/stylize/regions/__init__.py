"""Spatial control: rules that give the objects of a data set styles of their own.

A part of the room of `stylebeam stylize`. It may import what that room may.
"""
