"""Stub that Beam's --setup_file asks for; all metadata is in pyproject.toml."""

from setuptools import setup

setup()
