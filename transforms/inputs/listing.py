"""Reads a listing of inputs as a step of Beam."""

import dataclasses
import itertools
import json
from collections.abc import Iterator

import apache_beam as beam
from apache_beam.pvalue import PBegin, PCollection

from transforms.elements import ImageRef
from transforms.inputs.listed import ListingFiles
from transforms.storage.files import open_file


@dataclasses.dataclass
class ReadListing(beam.PTransform[PBegin, PCollection[ImageRef]]):
    """Reads the references of a listing and spreads them over the workers.

    Input: the pipeline. Output: bounded PCollection of `ImageRef`.

    Attributes:
        files: What `Listing.write` returned.
    """

    files: ListingFiles

    def expand(self, pbegin: PBegin) -> PCollection[ImageRef]:
        """Read the files of the listing, spread the references over the workers."""
        return (
            pbegin
            | "Files" >> beam.Create([self.files], reshuffle=False)
            | "Paths" >> beam.FlatMap(ListingFiles.paths)
            | "SpreadFiles" >> beam.Reshuffle()
            | "Slice" >> beam.FlatMap(_slices, self.files.refs_a_slice)
            # A file of the listing is sliced on one worker; without this, everything
            # that is fused to the slicing would stay on that worker too.
            | "SpreadSlices" >> beam.Reshuffle()
            | "ReadRefs" >> beam.FlatMap(_read_refs).with_output_types(ImageRef)
        )


# Path of a file, and the lines in it: first byte, number of bytes.
_Slice = tuple[str, int, int]


def _slices(path: str, refs: int) -> Iterator[_Slice]:
    """Yield a file of references in slices of so many lines."""
    place = 0
    with open_file(path) as file:
        while lines := list(itertools.islice(file, refs)):
            size = sum(map(len, lines))
            yield path, place, size
            place += size


def _read_refs(lines: _Slice) -> Iterator[ImageRef]:
    path, place, size = lines
    with open_file(path, size) as file:
        file.seek(place)
        data = file.read(size)
    for line in data.splitlines():
        yield ImageRef(*json.loads(line))
