"""Pages that are made part by part of a table, and the index that knows them all.

The parts are written wherever they are; the index is small whatever their number.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

import apache_beam as beam
from apache_beam.pvalue import PCollection
from apache_beam.transforms.combiners import ToList

from transforms.storage.folder import OutputFolder

# Of a gallery, whose pages are scripts in folders beside it.
INDEX: Final = "gallery/index.html"


def write_index_page(
    output: OutputFolder, index: str, html: bytes, folder: str, wanted: Collection[str]
) -> str:
    """Write an index, then remove the pages of earlier runs.

    Args:
        output: Output folder of the job.
        index: Name of the index.
        html: The index.
        folder: Where the pages are; it holds no other files.
        wanted: Names of the pages that the index knows.

    Returns:
        The name of the index.
    """
    output.write(index, html)
    # Only now: the index that a kill leaves never names a page that is gone.
    for name in sorted(set(output.names(folder)) - set(wanted)):
        output.delete(name)
    return index


@dataclasses.dataclass
class WritePages(beam.PTransform[PCollection[str], PCollection[str]]):
    """Each part of a table becomes pages; all of them, one index.

    Input: names of parts inside the output folder, bounded. Output: the name of the
    index, once it is written; also for no part at all. Idempotent.

    Attributes:
        output: The folder of the job; its table must be complete.
        write_part: Writes the pages of a part, yields what the index says of each.
        write_index: Writes the index of all that was yielded, returns its name.
    """

    output: OutputFolder
    write_part: Callable[[str, OutputFolder], Iterator[Any]]
    write_index: Callable[[list[Any], OutputFolder], str]

    def expand(self, parts: PCollection[str]) -> PCollection[str]:
        """Write the pages, then the index."""
        return (
            parts
            | "WriteParts" >> beam.FlatMap(self.write_part, self.output)
            | "Collect" >> ToList()
            | "WriteIndex"
            >> beam.Map(self.write_index, self.output).with_output_types(str)
        )
