"""A failing cell fails alone; a content is encoded once."""

import dataclasses
import pickle
import threading

import numpy as np
import pytest
import tensorflow as tf

from model.adain.stylizer import Stylizer, to_float, to_uint8
from transforms.elements import ImageError, ImageRef, Reason
from transforms.images.load import LoadedImage
from transforms.storage.folder import OutputFolder
from transforms.stylize import network
from transforms.stylize.blocks import StylizeBlock
from transforms.stylize.handler import StylizerModelHandler
from transforms.stylize.network import Network, StyleEncoder
from transforms.stylize.pairing import Recipe
from transforms.stylize.plan import Painting


@dataclasses.dataclass
class FakeStylizer:
    """Adds the style's mean to the content; fails where a mean says so."""

    encoded: int = 0
    painted: int = 0
    tiled: int = 0

    def encode_content(self, images, tile_pixels=None):
        self.encoded += 1
        self.tiled += tile_pixels is not None
        return images / 255 if tile_pixels is None else np.ones_like(images)

    def encode_style(self, images):
        if (images > 230).all():
            raise tf.errors.ResourceExhaustedError(None, None, "no memory")
        return np.full((1, 2), images.mean()), np.full((1, 2), np.nan)

    def paint(self, content, mean, std, alpha):
        if 13.0 in mean and not content.all():
            raise tf.errors.ResourceExhaustedError(None, None, "no memory")
        if 14.0 in mean:
            raise tf.errors.InvalidArgumentError(None, None, "bad op")
        if 15.0 in mean:
            raise ZeroDivisionError
        self.painted += len(mean)
        pictures = np.clip(content + np.nan_to_num(mean[:, None, None, :1]), 0, 1)
        return (255 * pictures).astype(np.uint8), np.isfinite(mean).all(1)


@pytest.fixture
def fake(monkeypatch):
    stylizer = FakeStylizer()
    monkeypatch.setattr(network, "_load_stylizer", lambda *_: stylizer)
    return stylizer


def block_of(means, pixels=None):
    ref = ImageRef("a.jpg", "root", "/root/a.jpg")
    if pixels is None:
        pixels = np.zeros((32, 40, 3), np.uint8)
    mean = np.array([[value, value] for value in means], np.float32)
    paintings = [Painting(Recipe((), (i,), 1.0), ()) for i in range(len(means))]
    image = LoadedImage(ref, "00", pixels, 40, 32)
    return StylizeBlock(image, paintings, mean, mean)


NETWORK = Network("bundle", "id", "float32", 65536)


@pytest.fixture
def handler(tmp_path):
    return StylizerModelHandler(NETWORK, OutputFolder(str(tmp_path)))


def run(handler, block):
    (result,) = handler.run_inference(block, handler.load_model())
    assert result.block is block
    return [p if isinstance(p, ImageError) else p.pixels for p in result.pictures]


def test_pictures_come_in_the_order_of_the_cells(fake, handler):
    pictures = run(handler, block_of([0.0, 0.2, 1.0]))
    assert [int(p[0, 0, 0]) for p in pictures] == [0, 51, 255]
    assert all(p.shape == (32, 40, 3) and p.dtype == np.uint8 for p in pictures)


def test_block_on_its_way_can_be_pickled(fake, handler):
    (result,) = handler.run_inference(block_of([0.2]), handler.load_model())
    again = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(again.pictures[0].pixels, 51)


def test_a_block_is_given_on_while_the_network_is_at_it(fake, handler, monkeypatch):
    """So the next content is decoded meanwhile, and the last pictures are written."""
    go_on = threading.Event()
    paint = FakeStylizer.paint

    def wait(self, *args):
        assert go_on.wait(30)
        return paint(self, *args)

    monkeypatch.setattr(FakeStylizer, "paint", wait)
    (result,) = handler.run_inference(block_of([0.2]), handler.load_model())
    assert not result.future.done()
    go_on.set()
    np.testing.assert_array_equal(result.pictures[0].pixels, 51)


def test_picture_without_memory_is_tiled(fake, handler):
    """Larger than a tile, so there is something left to try."""
    block = block_of([0.2, 13.0], np.zeros((300, 320, 3), np.uint8))
    first, second = run(handler, block)
    assert (first == 51).all()
    assert (second == 255).all()
    assert fake.tiled == 1


@pytest.mark.parametrize("bad", [0, 3, 7])
@pytest.mark.parametrize(
    ("value", "reason"), [(13.0, Reason.OUT_OF_MEMORY), (14.0, Reason.MODEL_ERROR)]
)
def test_a_failing_cell_fails_alone(fake, handler, bad, value, reason):
    means = [0.2] * 8
    means[bad] = value
    pictures = run(handler, block_of(means))
    assert fake.painted == 7
    assert fake.encoded == 1
    for index, picture in enumerate(pictures):
        if index == bad:
            assert isinstance(picture, ImageError)
            assert picture.reason == reason
        else:
            assert (picture == 51).all()


def test_all_cells_can_fail(fake, handler):
    pictures = run(handler, block_of([13.0, 14.0]))
    assert [p.reason for p in pictures] == [Reason.OUT_OF_MEMORY, Reason.MODEL_ERROR]


def test_not_a_number_is_a_failure_and_no_grey_picture(fake, handler):
    good, bad = run(handler, block_of([0.2, np.nan]))
    assert (good == 51).all()
    assert bad.reason == Reason.MODEL_ERROR


def test_a_programming_error_is_no_failure(fake, handler):
    with pytest.raises(ZeroDivisionError):
        run(handler, block_of([15.0]))


def test_blocks_of_one_content_encode_it_once(fake, handler):
    model = handler.load_model()
    first = block_of([0.1, 0.2])
    for block in (first, dataclasses.replace(first), block_of([0.1])):
        for result in handler.run_inference(block, model):
            assert len(result.pictures) == len(block)
    assert fake.encoded == 2


def test_loading_the_handler_builds_no_network(monkeypatch, handler):
    def never(*_):
        raise AssertionError("a network was built")

    monkeypatch.setattr(network, "_load_stylizer", never)
    handler.load_model()


def test_handler_and_encoder_survive_pickling(handler, tmp_path):
    pickle.loads(pickle.dumps(handler))
    encoder = StyleEncoder(NETWORK, OutputFolder(str(tmp_path)))
    pickle.loads(pickle.dumps(encoder))


def test_style_that_does_not_fit_is_out_of_memory(fake, tmp_path):
    encode = StyleEncoder(NETWORK, OutputFolder(str(tmp_path)))
    white = block_of([0.0], np.full((32, 40, 3), 255, np.uint8)).content
    with pytest.raises(ImageError, match="out_of_memory"):
        encode(white)


def test_style_without_statistics_is_a_model_error(fake, tmp_path):
    encode = StyleEncoder(NETWORK, OutputFolder(str(tmp_path)))
    with pytest.raises(ImageError, match="model_error"):
        encode(block_of([0.0]).content)


def test_bundle_that_changed_under_the_job_stops_it(tiny_bundle, tmp_path):
    tiny_bundle.save(tmp_path / "bundle")
    network = Network(str(tmp_path / "bundle"), "another id", "float32", 65536)
    encode = StyleEncoder(network, OutputFolder(str(tmp_path)))
    with pytest.raises(ValueError, match="changed since the job was started"):
        encode(block_of([0.0]).content)


def test_block_equals_the_stylizer(tiny_bundle, tmp_path, rng):
    """What crosses Beam is what the model gives, for a network of real layers."""
    tiny_bundle.save(tmp_path / "bundle")
    network = Network(str(tmp_path / "bundle"), tiny_bundle.bundle_id, "float32", 65536)
    handler = StylizerModelHandler(network, OutputFolder(str(tmp_path)))
    pixels = rng.integers(0, 256, (33, 47, 3), np.uint8)
    block = block_of([0.0] * 3, pixels)
    mean = rng.normal(0, 1, (3, 16)).astype(np.float32)
    std = rng.uniform(0.5, 2, (3, 16)).astype(np.float32)
    block = dataclasses.replace(block, style_mean=mean, style_std=std)
    pictures = run(handler, block)
    stylizer = Stylizer(tiny_bundle)
    content = stylizer.encode_content(to_float(pixels)[None])
    expected = to_uint8(stylizer.decode(content, mean, std))
    np.testing.assert_array_equal(pictures, expected)
