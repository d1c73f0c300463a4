"""A network that costs nothing, for `benchmarks/scale.py`: put on PYTHONPATH.

A picture is one colour: the mean of the content's and the style's. Weights are not
loaded and TensorFlow is not imported, so that what is measured is everything else. Each
process also counts what it asks of the storage, and writes that down when it ends.
"""

import atexit
import functools
import importlib.abc
import importlib.machinery
import json
import os
import pathlib
import sys
from collections import Counter

CHANNELS = 512
REQUESTS = Counter()


def counted(name, function):
    """Return a function that is counted under a name."""

    @functools.wraps(function)
    def call(*args, **keywords):
        REQUESTS[name] += 1
        return function(*args, **keywords)

    return call


def patch_files(module):
    """Count the files that are opened."""
    module.open_file = counted("open", module.open_file)


def patch_folder(module):
    """Count what is asked of an output."""
    kinds = {"exists": "stat", "size": "stat", "names": "list", "create": "write"}
    for name, kind in kinds.items():
        method = getattr(module.OutputFolder, name)
        setattr(module.OutputFolder, name, counted(kind, method))
    states = module.OutputFolder.states

    def list_states(self, names):
        REQUESTS["list"] += bool(names)
        return states(self, names)

    module.OutputFolder.states = list_states


def patch_network(module):
    """Make the mean colour of a style its code."""
    import numpy as np

    def encode(self, image):
        color = image.pixels.mean((0, 1)).astype(np.float32)
        return np.resize(color, CHANNELS), np.ones(CHANNELS, np.float32)

    module.StyleEncoder.__call__ = encode
    module.SharedStylizer.get = lambda self: None


def patch_handler(module):
    """Paint one colour."""
    import numpy as np

    from transforms.stylize.blocks import Painted

    def work(self, block, model):
        color = block.content.pixels.mean((0, 1))
        shape = block.content.pixels.shape
        means = ((color + mean[:3]) / 2 for mean in block.style_mean)
        return [
            Painted(np.broadcast_to(mean, shape).astype(np.uint8)) for mean in means
        ]

    module.StylizerModelHandler._work = work


PATCHES = {
    "transforms.storage.files": patch_files,
    "transforms.storage.folder": patch_folder,
    "transforms.stylize.network": patch_network,
    "transforms.stylize.handler": patch_handler,
}


class Patching(importlib.abc.MetaPathFinder):
    """Patches a module right after it was imported."""

    def find_spec(self, name, path, target=None):
        """Return the module with its patch behind it."""
        if name not in PATCHES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            PATCHES[name](module)

        spec.loader.exec_module = exec_module
        return spec


def write_down():
    """Write what this process asked for."""
    lines = pathlib.Path("/proc/self/io").read_text().splitlines()
    io = {key: int(value) for key, value in (line.split(":") for line in lines)}
    told = {"requests": REQUESTS, "read": io["rchar"], "written": io["wchar"]}
    path = pathlib.Path(os.environ["STYLEBEAM_SCALE"], f"{os.getpid()}.json")
    path.write_text(json.dumps(told))


if "STYLEBEAM_SCALE" in os.environ:
    sys.meta_path.insert(0, Patching())
    atexit.register(write_down)
