"""Looking at a subject: a network that fails fails that subject alone."""

import dataclasses

import numpy as np

from transforms.elements import ImageRef
from transforms.images.load import ImageBytes, LoadedImage
from transforms.visualize.comparison import networks as module
from transforms.visualize.comparison.handler import (
    Compared,
    ComparisonHandler,
    Decoded,
)
from transforms.visualize.comparison.networks import NetworkSource, load_network
from transforms.visualize.comparison.settings import SeenBy
from transforms.visualize.comparison.subjects import ReadSubject, photograph


def test_a_number_that_is_not_finite_fails_its_subject(output, triples, tiny_vgg):
    ref = ImageRef("a.png", "in", "p")
    read = ReadSubject(photograph(ref, 0), (ImageBytes(ref, b"", "0"),))
    pixels = np.full((34, 40, 3), 90, np.uint8)
    decoded = Decoded(read, (LoadedImage(ref, "0", pixels, 40, 34),))
    source = NetworkSource("vgg16")
    results = []
    for broken in (False, True):
        if broken:
            # Finite, and their sums are not.
            tiny_vgg["block1_conv2/bias"][:] = 3e38
        loaded = load_network(source)
        names = tuple(spec.name for spec in loaded.layers)
        seen = SeenBy("vgg16", loaded.sha256, names)
        settings = dataclasses.replace(triples, networks=(seen,))
        module.load_looks.cache_clear()
        handler = ComparisonHandler(settings, (source,), output)
        results += handler.run_inference(decoded, handler.load_model())
    module.load_looks.cache_clear()
    whole, failed = results
    assert isinstance(whole, Compared)
    assert whole.features[0, 0]["block2_conv1"].shape == (17, 20, 6)
    failure = failed.failure()
    assert (failure.key, failure.stage, failure.reason) == (
        "a.png",
        "Compare",
        "model_error",
    )
    assert "block2_conv1 of vgg16 are not finite" in failure.message
