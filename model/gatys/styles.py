"""The styles of a picture: one, a blend of some, or one for each of its parts."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from model.networks.regions import RegionMasks
from model.pixels import Images, Pixels


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Styles:
    """The styles of a picture, and where each of them is.

    Without masks the Gram matrix that is wanted of the whole picture is the weighted
    mean of the styles' own: Σ w |G − A|² has the gradient of |G − Σ w A|².

    Attributes:
        pictures: uint8 RGB `[height, width, 3]` of each style, of any size.
        weights: Share of each style in a blend; they add up to 1.
        masks: The share of each region in each pixel of the picture; None where the
            styles are for all of it.
        places: The style of each region, -1 for none; several regions may have one.
    """

    pictures: Sequence[Pixels]
    weights: Sequence[float] = (1.0,)
    masks: RegionMasks | None = None
    places: Sequence[int] = ()

    @classmethod
    def of(cls, styles: "Styles | Pixels") -> "Styles":
        """Return styles, where they are the pixels of one."""
        return styles if isinstance(styles, Styles) else cls((styles,))

    @classmethod
    def in_regions(
        cls, pictures: Sequence[Pixels], masks: RegionMasks, places: Sequence[int]
    ) -> "Styles":
        """Return styles that have a part of the picture each.

        One style that has all of it is a style without a mask.
        """
        if len(pictures) == 1 and set(places) == {0}:
            return cls(pictures)
        return cls(pictures, (), masks, places)

    @property
    def regions(self) -> int:
        """How many styles have a part of the picture each; 0 without masks."""
        return len(self.pictures) if self.masks else 0

    def shrunk(self, factor: int) -> "Styles":
        """Return the same styles for a picture whose sides are divided.

        A pixel's share is the mean over the pixels that it stands for.
        """
        if self.masks is None or factor == 1:
            return self
        regions, height, width = self.masks.shares.shape
        height, width = height // factor, width // factor
        shares = np.empty((regions, height, width), np.uint8)
        for region, full in enumerate(self.masks.shares):
            blocks = full[: height * factor, : width * factor].reshape(
                height, factor, width, factor
            )
            shares[region] = np.rint(blocks.mean((1, 3), dtype=np.float32))
        masks = RegionMasks(shares, self.masks.weights)
        return dataclasses.replace(self, masks=masks)

    def guide(self, rows: slice, columns: slice, stride: int) -> Images:
        """Return the share of each style in each place of a part of the picture.

        Args:
            rows: Pixels from a multiple of `stride` on. A last odd row is left out, as
                poolings do.
            columns: Pixels as for `rows`.
            stride: Pixels of a place's side.

        Returns:
            float32 `[styles, h, w]`, which add up to 1 over the styles where no region
            is without one.

        Raises:
            ValueError: There are no masks.
        """
        if self.masks is None:
            raise ValueError("Styles without masks have no guide.")
        whole = [
            slice(part.start, part.start + (part.stop - part.start) // stride * stride)
            for part in (rows, columns)
        ]
        cells = self.masks.cells(whole[0], whole[1], stride)
        guide = np.zeros((len(self.pictures), *cells.shape[1:]), np.float32)
        for cell, place in zip(cells, self.places, strict=True):
            if place >= 0:
                guide[place] += cell
        return guide

    def mixed(
        self, grams: Sequence[Sequence[npt.ArrayLike]]
    ) -> tuple[npt.NDArray[np.float32], ...]:
        """Return what the picture's Gram matrices are compared with, layer by layer.

        Args:
            grams: A / M' of each style, at each layer float32 `[channels, channels]`.

        Returns:
            float32 `[channels, channels]`; with masks `[styles, channels, channels]`.
        """
        layers = [
            np.stack([np.asarray(a) for a in one]) for one in zip(*grams, strict=True)
        ]
        if self.masks is not None:
            return tuple(layers)
        weights = np.array(self.weights, np.float64)
        return tuple(
            np.tensordot(weights, layer.astype(np.float64), 1).astype(np.float32)
            for layer in layers
        )
