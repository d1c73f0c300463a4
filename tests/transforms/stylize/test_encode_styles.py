"""Styles get their vectors: once for equal bytes, from a bank where it has them."""

import threading

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.elements import Count, ImageRef
from transforms.images.load import load_image
from transforms.images.thumbnails import preview
from transforms.storage.folder import OutputFolder
from transforms.stylize import encode_styles
from transforms.stylize.encode_styles import EncodeStyles, ReadStyleBank
from transforms.stylize.network import StyleEncoder
from transforms.stylize.style_bank import WriteStyleBank, existing_bank


def told(style):
    return style.share.key, round(float(style.mean[0])), round(float(style.std[0]))


def sums_of(counts):
    return counts | "Sum" >> beam.CombinePerKey(sum)


@pytest.fixture
def grey(listed):
    """Return a writer of grey pictures as styles."""

    def write(key: str, level: int) -> ImageRef:
        header = b"P5 40 32 255\n"
        return listed(key, data=header + bytes([level]) * (40 * 32))

    return write


@pytest.fixture
def encode(output, any_network, bank_settings):
    def make(known=None, previews=True):
        encoder = StyleEncoder(any_network, output)
        return EncodeStyles(output, bank_settings, known, encoder, previews)

    return make


def test_vectors_counts_and_failures(output, mixing, encode, grey, listed):
    styles = [grey("a.pgm", 60), grey("b.pgm", 60), grey("c.pgm", 200)]
    bad = [listed("gone.png")]
    bad += [listed(key, data=b"no picture") for key in ("text.png", "twin.png")]
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        result = pipeline | beam.Create([*bad, *styles]) | encode()
        expected = [("a.pgm", 60, 30), ("b.pgm", 60, 30), ("c.pgm", 200, 100)]
        assert_that(result.encoded | beam.Map(told), equal_to(expected), "encoded")
        sums = [(Count.STYLES_DECODED, 3), (Count.STYLES_FAILED, 3)]
        assert_that(sums_of(result.counts), equal_to(sums), "counts")
        failures = result.failures | "Name" >> beam.Map(
            lambda f: (f.key, f.stage, str(f.reason))
        )
        named = [
            ("gone.png", "ReadStyle", "not_found"),
            ("text.png", "EncodeStyle", "not_an_image"),
            ("twin.png", "EncodeStyle", "not_an_image"),
        ]
        assert_that(failures, equal_to(named), "failures")
    assert mixing.styles == 2  # of equal bytes once
    previews = [f"gallery/style/{ref.id}.jpg" for ref in styles]
    assert output.names("gallery/style") == sorted(previews)


def test_a_known_style_is_not_encoded_again(
    output, mixing, encode, bank_settings, grey
):
    styles = [grey("a.pgm", 60)]
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        result = pipeline | beam.Create(styles) | encode(previews=False)
        _ = result.encoded | WriteStyleBank(output, bank_settings)
    bank = existing_bank(output)
    styles += [grey("b.pgm", 60), grey("c.pgm", 200)]
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        result = pipeline | beam.Create(styles) | encode(known=bank, previews=False)
        expected = [("a.pgm", 60, 30), ("b.pgm", 60, 30), ("c.pgm", 200, 100)]
        assert_that(result.encoded | beam.Map(told), equal_to(expected))
    assert mixing.styles == 2
    assert not output.exists("gallery")


@pytest.mark.parametrize("previews", [True, False])
def test_bank_alone_gives_its_styles(
    tmp_path, output, bank_settings, encoded, previews
):
    origin = OutputFolder(str(tmp_path / "origin"))
    shown = f"gallery/style/{encoded[0].share.id}.jpg"
    origin.write(shown, preview(np.zeros((40, 40, 3), np.uint8)))
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        _ = pipeline | beam.Create(encoded) | WriteStyleBank(origin, bank_settings)
    bank = existing_bank(origin)
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        result = pipeline | ReadStyleBank(output, bank, previews)
        expected = [("s.png", 60, 30), ("t.png", 200, 100)]
        assert_that(result.encoded | beam.Map(told), equal_to(expected), "encoded")
        sums = [(Count.STYLES_DECODED, 2)]
        assert_that(sums_of(result.counts), equal_to(sums), "counts")
        assert_that(result.failures, equal_to([]), "failures")
    assert output.names("gallery/style") == ([shown] if previews else [])


def test_style_that_breaks_the_network_fails(mixing, encode, grey, monkeypatch):
    ref = grey("a.pgm", 60)
    nothing = np.full((1, 2), np.nan, np.float32)
    monkeypatch.setattr(mixing, "encode_style", lambda _: (nothing, nothing))
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        result = pipeline | beam.Create([ref]) | encode()
        failures = result.failures | beam.Map(lambda f: (f.key, str(f.reason)))
        assert_that(result.encoded, equal_to([]), "encoded")
        assert_that(failures, equal_to([("a.pgm", "model_error")]), "failures")


def test_the_next_style_is_read_while_the_network_is_at_one(
    mixing, encode, grey, monkeypatch
):
    read, loaded = threading.Event(), []

    def load(image, size):
        loaded.append(image.ref.key)
        if len(loaded) == 2:
            read.set()
        return load_image(image, size)

    plain = mixing.encode_style

    def encode_style(pixels):
        assert read.wait(60), "nothing was read meanwhile"
        return plain(pixels)

    monkeypatch.setattr(encode_styles, "load_image", load)
    monkeypatch.setattr(mixing, "encode_style", encode_style)
    styles = [grey("a.pgm", 60), grey("b.pgm", 100), grey("c.pgm", 200)]
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        result = pipeline | beam.Create(styles) | encode()
        expected = [("a.pgm", 60, 30), ("b.pgm", 100, 50), ("c.pgm", 200, 100)]
        assert_that(result.encoded | beam.Map(told), equal_to(expected))
