"""The images that excite each channel of a layer most, found in flat memory."""

import dataclasses
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import apache_beam as beam
import numpy as np
import numpy.typing as npt

from model.npz import read_npz
from transforms.elements import ImageRef
from transforms.visualize.settings import Channels, VisualizeSettings

# How many images a channel gets: a row of the sheet.
WINNERS: Final = 9

# Images that wait to be compared at once: enough that NumPy's work outweighs Python's.
_AT_A_TIME: Final = 64


@dataclasses.dataclass(frozen=True, slots=True)
class Excitation:
    """How strongly an image excites a channel.

    Attributes:
        score: Activation of the channel's strongest neuron.
        image_id: Id of the image.
        ref: Where the image is.
        row: Row of that neuron.
        column: Column of that neuron.
    """

    score: float
    image_id: str
    ref: ImageRef
    row: int
    column: int


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Winners:
    """The best images of each channel of a layer; one image is its own best.

    The channels are those that the settings list, or all of the layer.

    Attributes:
        refs: The images that occur.
        image: int64 [channels, places], which of `refs`; the strongest first.
        score: float32 [channels, places], activation of the strongest neuron.
        row: int32 [channels, places], row of that neuron.
        column: int32 [channels, places], column of that neuron.
    """

    refs: tuple[ImageRef, ...]
    image: npt.NDArray[np.int64]
    score: npt.NDArray[np.float32]
    row: npt.NDArray[np.int32]
    column: npt.NDArray[np.int32]

    def excitations(self, place: int) -> list[Excitation]:
        """Return what excites one channel, the strongest first.

        Images in which the channel does not fire are left out.

        Args:
            place: Place of the channel among those that are compared.
        """
        return [
            Excitation(score, self.refs[image].id, self.refs[image], row, column)
            for image, score, row, column in zip(
                self.image[place].tolist(),
                self.score[place].tolist(),
                self.row[place].tolist(),
                self.column[place].tolist(),
                strict=True,
            )
            if score > 0
        ]


def pack_scores(peaks: Mapping[str, Sequence[npt.NDArray[Any]]]) -> bytes:
    """Return the strongest neurons of an image as the bytes of an .npz.

    Args:
        peaks: For each layer, the activation, row and column of each channel.
    """
    file = io.BytesIO()
    arrays = {
        f"{layer}/{name}": array
        for layer, values in peaks.items()
        for name, array in zip(("score", "row", "column"), values, strict=True)
    }
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def image_winners(
    ref: ImageRef, scores: bytes, settings: VisualizeSettings
) -> Iterator[tuple[str, Winners]]:
    """Yield, for each layer, what an image does to its channels.

    Args:
        ref: The image.
        scores: What `pack_scores` returned.
        settings: Which layers and channels.

    Raises:
        ValueError: The bytes are damaged.
    """
    channels = list(settings.channels.listed)
    arrays = read_npz(scores)
    for layer in settings.layers:
        score, row, column = (
            arrays[f"{layer}/{name}"][channels or slice(None), None]
            for name in ("score", "row", "column")
        )
        image = np.zeros(score.shape, np.int64)
        yield layer, Winners((ref,), image, score, row, column)


def best(parts: Iterable[Winners], count: int = WINNERS) -> Winners:
    """Return the best of all images, the same for any order and grouping of them.

    If scores are equal, the smaller image id comes first.

    Args:
        parts: Winners of one layer, at least one; no image twice.
        count: Number of images that a channel keeps.
    """
    parts = list(parts)
    refs = sorted({ref for part in parts for ref in part.refs}, key=_id)
    places = {ref: place for place, ref in enumerate(refs)}
    image = np.concatenate(
        [np.array([places[ref] for ref in p.refs])[p.image] for p in parts], axis=1
    )
    score, row, column = (
        np.concatenate([getattr(part, name) for part in parts], axis=1)
        for name in ("score", "row", "column")
    )
    order = np.lexsort((image, -score), axis=1)[:, :count]
    image, score, row, column = (
        np.take_along_axis(array, order, axis=1)
        for array in (image, score, row, column)
    )
    # Who wins nowhere any more is forgotten.
    used, image = np.unique(image, return_inverse=True)
    image = image.reshape(order.shape)
    return Winners(tuple(refs[place] for place in used), image, score, row, column)


def _id(ref: ImageRef) -> str:
    return ref.id


class WinnersCombineFn(beam.CombineFn):
    """Combines the `Winners` of one layer into the best of all.

    An image is one element for all channels, and an accumulator holds some winners a
    channel and a few images that wait: memory does not grow with the collection.
    `Top.PerKey` with a key for each channel would find the same, from thousands of
    elements for each image.
    """

    def create_accumulator(self) -> list[Winners]:
        """Return the accumulator of no image."""
        return []

    def add_input(self, waiting: list[Winners], image: Winners) -> list[Winners]:
        """Return the accumulator with one more."""
        waiting.append(image)
        return waiting if len(waiting) < _AT_A_TIME else [best(waiting)]

    def merge_accumulators(self, several: Iterable[list[Winners]]) -> list[Winners]:
        """Return one accumulator for several."""
        merged: list[Winners] = []
        for waiting in several:
            for one in waiting:
                merged = self.add_input(merged, one)
        return merged

    def compact(self, waiting: list[Winners]) -> list[Winners]:
        """Return the accumulator as small as it gets, before it crosses the shuffle."""
        return [best(waiting)] if waiting else waiting

    def extract_output(self, waiting: list[Winners]) -> Winners:
        """Return the best of all."""
        return best(waiting)


def chosen_rows(
    winners: Winners, channels: Channels
) -> list[tuple[int, list[Excitation]]]:
    """Return the channels to show with their best images; without the silent ones.

    Args:
        winners: Winners of the whole collection.
        channels: The channels asked for, or how many: then those with the highest
            scores are taken, and the lower number where scores are equal.
    """
    if channels.listed:
        numbered = list(enumerate(channels.listed))
    else:
        order = np.argsort(-winners.score[:, 0], kind="stable")[: channels.top]
        numbered = [(int(channel), int(channel)) for channel in order]
    rows = [(channel, winners.excitations(place)) for place, channel in numbered]
    return [(channel, found) for channel, found in rows if found]
