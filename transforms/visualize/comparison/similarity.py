"""How alike the layers of two networks are, over a collection: a matrix.

What was kept of each photograph, its layers in cells, is read again in the order of the
images' ids: sums of many numbers depend on their order, and the output must not. Each
layer of the first network is summed up by itself, so memory does not grow with the
collection and the layers are spread over the workers.
"""

import dataclasses
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import apache_beam as beam
import numpy as np
import numpy.typing as npt
from apache_beam.pvalue import AsList, PCollection, TaggedOutput
from apache_beam.transforms.combiners import ToList

from model.attribution.similarity import (
    Covariation,
    PairSums,
    Similarity,
    linear_cka,
)
from model.config import canonical_json
from transforms.elements import Count, Failure, Reason
from transforms.steps.outcome import Outcome
from transforms.steps.try_map import FAILED
from transforms.storage.folder import OutputFolder
from transforms.visualize.comparison.compare_images import (
    Examined,
    pooled_name,
    pooled_path,
)
from transforms.visualize.comparison.settings import (
    CELLS,
    Comparison,
    ComparisonSettings,
)
from transforms.visualize.comparison.similarity_sheet import Matrix, draw_similarity
from transforms.visualize.maps_table import (
    Owner,
    commit_maps,
    is_done,
    write_file,
    write_sheet,
)
from transforms.visualize.settings import COLLECTION
from transforms.visualize.sheet import FACTS, facts_path

# Fewer photographs are no collection.
FEWEST_IMAGES: Final = 2

_OWNER: Final = f"{COLLECTION}-{Comparison.SIMILARITY}"

Sums = dict[tuple[str, str], Covariation]
"""How the layers of some pairs vary together, by their names in `pooled_path`."""


@dataclasses.dataclass
class DrawSimilarity(beam.PTransform[PCollection[Examined], Outcome]):
    """Turns a collection into the matrix of the similarity of its layers.

    Input: `Examined`. Output: `Outcome`, of one sheet. Idempotent; a sheet that was
    made of the same photographs and is intact is kept. Failures: the sheet, where fewer
    than two photographs could be looked at, or where it cannot be written.

    Attributes:
        output: Output folder of the job.
        settings: Which layers of which networks.
        recovered: Names of the parts of the maps, as soon as they can be read.
        parts: Number of parts.
    """

    output: OutputFolder
    settings: ComparisonSettings
    recovered: PCollection[str]
    parts: int

    def expand(self, examined: PCollection[Examined]) -> Outcome:
        """Sum up each layer, then draw the matrix."""
        images, recovered = AsList(examined), AsList(self.recovered)
        made = self.output, self.settings, self.parts
        drawn = (
            examined.pipeline
            | "Layers" >> beam.Create(list(range(len(tasks_of(self.settings)))))
            | "Share" >> beam.Reshuffle()
            | "Sum" >> beam.ParDo(_SumDoFn(*made), images, recovered)
            | "Collect" >> ToList()
            | "Draw"
            >> beam.ParDo(_DrawDoFn(*made), images, recovered).with_outputs(
                FAILED, main="counts"
            )
        )
        return Outcome(drawn.counts, drawn[FAILED])


def tasks_of(settings: ComparisonSettings) -> list[list[tuple[str, str]]]:
    """Return the pairs of layers that are summed up, those of a task together.

    A task for each layer of the first network: with itself, and with each of the
    second. One more for those of the second with themselves.
    """
    first, second = (
        [pooled_name(network, layer) for layer in settings.layers_of(network)]
        for network in (0, 1)
    )
    rows = [[(one, one), *((one, other) for other in second)] for one in first]
    return [*rows, [(other, other) for other in second]]


def sum_up(
    images: Sequence[Examined], pairs: Sequence[tuple[str, str]], output: OutputFolder
) -> Sums:
    """Return how the layers of some pairs vary together.

    Args:
        images: The photographs, at least one.
        pairs: The pairs, by the names of the layers in the files.
        output: Output folder of the job.
    """
    names = dict.fromkeys(name for pair in pairs for name in pair)
    sums: dict[tuple[str, str], PairSums] = {}
    near: Mapping[str, Any] = {}
    for image_id, _ in sorted(images):
        cells = _read(output, image_id, list(names))
        # Sums of numbers far from 0 lose digits; the first photograph says how far.
        near = near or {name: one.mean(axis=0) for name, one in cells.items()}
        for pair in pairs:
            x, y = (cells[name] - near[name] for name in pair)
            found = PairSums.of(x, y)
            sums[pair] = sums[pair] + found if pair in sums else found
    return {pair: total.covariation() for pair, total in sums.items()}


def _read(
    output: OutputFolder, image_id: str, names: Sequence[str]
) -> dict[str, npt.NDArray[np.float64]]:
    data = io.BytesIO(output.read(pooled_path(image_id)))
    with np.load(data, allow_pickle=False) as file:
        return {name: file[name].astype(np.float64) for name in names}


def matrix_of(sums: Sums, images: int, settings: ComparisonSettings) -> Matrix:
    """Return the similarity of each layer of one network to each of the other.

    Args:
        sums: How all pairs of `tasks_of` vary together.
        images: Number of photographs.
        settings: Which layers of which networks.
    """
    layers = [settings.layers_of(network) for network in (0, 1)]
    rows: list[list[Similarity | None]] = []
    for one in layers[0]:
        x = pooled_name(0, one)
        others = [pooled_name(1, other) for other in layers[1]]
        rows.append([linear_cka(sums[x, y], sums[x, x], sums[y, y]) for y in others])
    return Matrix(
        labels=(settings.networks[0].label, settings.networks[1].label),
        rows=layers[0],
        columns=layers[1],
        values=rows,
        images=images,
        examples=images * CELLS**2,
    )


class _SimilarityDoFn(beam.DoFn):
    def __init__(
        self, output: OutputFolder, settings: ComparisonSettings, parts: int
    ) -> None:
        self._output = output
        self._settings = settings
        self._parts = parts

    def _owner(self, images: Sequence[Examined]) -> Owner:
        digest = hashlib.sha256()
        for image_id, cell_id in sorted(images):
            digest.update(f"{image_id} {cell_id}\n".encode())
        cell_id = self._settings.cell_id(Comparison.SIMILARITY, digest.hexdigest())
        return Owner(cell_id, id=_OWNER)

    def _is_done(self, owner: Owner) -> bool:
        return is_done(self._output, self._parts, owner)


class _SumDoFn(_SimilarityDoFn):
    def process(
        self, task: int, images: list[Examined], _recovered: list[str]
    ) -> Iterator[Sums]:
        if len(images) >= FEWEST_IMAGES and not self._is_done(self._owner(images)):
            yield sum_up(images, tasks_of(self._settings)[task], self._output)


class _DrawDoFn(_SimilarityDoFn):
    def process(
        self, several: list[Sums], images: list[Examined], _recovered: list[str]
    ) -> Iterator[Any]:
        owner = self._owner(images)
        yield Count.SHEETS_PLANNED, 1
        if len(images) >= FEWEST_IMAGES and self._is_done(owner):
            yield Count.SHEETS_KEPT, 1
            return
        reason, problem = self._draw(owner, several, images)
        if reason is None:
            yield Count.SHEETS_DONE, 1
            return
        path = f"sheets/{COLLECTION}/{Comparison.SIMILARITY}.png"
        failure = Failure(path, "", "DrawSimilarity", reason, problem)
        yield TaggedOutput(FAILED, failure)
        yield Count.SHEETS_FAILED, 1

    def _draw(
        self, owner: Owner, several: list[Sums], images: list[Examined]
    ) -> tuple[Reason | None, str]:
        """Return why there is no matrix; None where it is written."""
        if len(images) < FEWEST_IMAGES:
            return Reason.UNSUPPORTED, (
                f"layers are compared over a collection, and {len(images)} of its "
                "photographs could be looked at. The other failures say why."
            )
        sums = {pair: found for one in several for pair, found in one.items()}
        matrix = matrix_of(sums, len(images), self._settings)
        sheet = draw_similarity(matrix)
        facts = canonical_json({sheet.path: list(sheet.facts)})
        path = facts_path(COLLECTION)
        try:
            rows = write_sheet(self._output, owner, sheet)
            rows.append(write_file(self._output, owner, FACTS, path, facts))
            commit_maps(self._output, owner, rows)
        except OSError as error:
            return Reason.WRITE_ERROR, str(error)
        return None, ""
