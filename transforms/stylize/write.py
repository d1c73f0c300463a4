"""Writes the pictures of a block, and commits their rows."""

import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import PCollection, TaggedOutput

from transforms.elements import CellStatus, Count, Failure, ImageError, Reason
from transforms.images.decoder import encode_image
from transforms.images.load import LoadedImage
from transforms.images.thumbnails import write_thumbnail
from transforms.steps.one_behind import OneBehindDoFn
from transforms.steps.outcome import Outcome
from transforms.steps.try_map import FAILED
from transforms.storage.parquet import Row
from transforms.storage.worker_progress import progress_of
from transforms.stylize.blocks import Painted, StylizeBlock, StylizedBlock
from transforms.stylize.cells import StylizeSettings
from transforms.stylize.manifest import commit_rows
from transforms.stylize.picture_blocks import BlockFile
from transforms.stylize.plan import PlanCells, Target, target_row


@dataclasses.dataclass
class WriteBlocks(beam.PTransform[PCollection[StylizedBlock], Outcome]):
    """Writes each block, and gives back what came of its cells.

    Input: `StylizedBlock`. Output: `Outcome`. Idempotent. Metrics: `cells_done` and
    `cells_failed`.

    Attributes:
        plan: Where to, and with which settings.
    """

    plan: PlanCells

    def expand(self, blocks: PCollection[StylizedBlock]) -> Outcome:
        """Write the blocks, and part what is counted from what failed."""
        step = beam.ParDo(_WriteBlockDoFn(self.plan))
        written = blocks | "WriteBlock" >> step.with_outputs(FAILED, main="counts")
        return Outcome(written.counts, written[FAILED])


class _WriteBlockDoFn(OneBehindDoFn):
    """Encodes and writes the pictures of a block, then commits its rows."""

    def __init__(self, plan: PlanCells) -> None:
        self._plan = plan
        self._output = plan.output
        self._settings = plan.settings
        self._shards = plan.output_format != "files"
        self._cells_done = Metrics.counter("Write", Count.CELLS_DONE)
        self._cells_failed = Metrics.counter("Write", Count.CELLS_FAILED)

    def begin(self, result: StylizedBlock) -> StylizedBlock:
        return result  # The network is still at it, in a thread of its own.

    def finish_bundle(self) -> Iterator[Any]:
        yield from super().finish_bundle()
        progress_of(self._output).flush()

    def end(self, result: StylizedBlock) -> Iterator[Any]:
        block, pictures = result.block, result.pictures
        encoded = [self._encode(picture) for picture in pictures]
        file = None
        if self._shards:
            file = BlockFile(self._output, block.paintings)
            encoded = _write_file(file, block, encoded)
        rows: dict[str, list[Row]] = {}
        done = failed = 0
        for painting, picture, data in zip(
            block.paintings, pictures, encoded, strict=True
        ):
            for target in painting.targets:
                made = data if file is not None else self._write(target, data)
                row, made = self._row(block.content, target, made, picture)
                if file is not None and not isinstance(made, ImageError):
                    row |= file.place(target)
                rows.setdefault(target.ref.id, []).append(row)
                if isinstance(made, ImageError):
                    # An older picture of that name is deleted by the launcher, last.
                    failed += 1
                    network = isinstance(picture, ImageError)
                    failure = Failure(
                        target.cell.path,
                        target.ref.source,
                        "Stylize" if network else "Write",
                        made.reason,
                        made.message,
                    )
                    yield TaggedOutput(FAILED, failure)
                else:
                    done += 1
        for content_id, committed in rows.items():
            commit_rows(self._output, content_id, committed)
        self._cells_done.inc(done)
        self._cells_failed.inc(failed)
        progress_of(self._output).add(cells_done=done, cells_failed=failed)
        yield Count.CELLS_DONE, done
        yield Count.CELLS_FAILED, failed

    def _row(
        self,
        content: LoadedImage,
        target: Target,
        made: bytes | ImageError,
        picture: Painted | ImageError,
    ) -> tuple[Row, bytes | ImageError]:
        """Return the row of a cell, and what was made of it in the end."""
        row = cell_row(content, target, self._settings, made, picture)
        try:
            return self._plan.row_of(row, target), made
        except ImageError as error:  # what is known of it cannot be read any more
            failed = cell_row(content, target, self._settings, error, picture)
            return self._plan.row_of(failed, target), error

    def _encode(self, picture: Painted | ImageError) -> bytes | ImageError:
        if isinstance(picture, ImageError):
            return picture
        settings = self._settings
        return encode_image(picture.pixels, settings.format, settings.quality)

    def _write(self, target: Target, data: bytes | ImageError) -> bytes | ImageError:
        if isinstance(data, ImageError):
            return data
        try:
            self._output.write(target.cell.path, data)
            write_thumbnail(self._output, target.cell.path, data)
        except ImageError as error:
            return error
        except OSError as error:
            return ImageError(Reason.WRITE_ERROR, str(error))
        return data


def _write_file(
    file: BlockFile, block: StylizeBlock, encoded: list[bytes | ImageError]
) -> list[bytes | ImageError]:
    """Write the pictures of a block as one file; all of them fail together."""
    for painting, data in zip(block.paintings, encoded, strict=True):
        for target in painting.targets:
            if not isinstance(data, ImageError):
                file.add(target, data)
    try:
        file.close()
    except OSError as error:
        failure = ImageError(Reason.WRITE_ERROR, str(error))
        return [d if isinstance(d, ImageError) else failure for d in encoded]
    return encoded


def cell_row(
    content: LoadedImage,
    target: Target,
    settings: StylizeSettings,
    data: bytes | ImageError,
    picture: Painted | ImageError,
) -> Row:
    """Return the manifest row of a cell.

    Args:
        content: Its content.
        target: The cell, and which of the equal contents it is of.
        settings: The identity of the output.
        data: The bytes of the picture, or why there are none.
        picture: The picture.
    """
    height, width, _ = content.pixels.shape
    failed = isinstance(data, ImageError)
    row: Row = {
        "content_sha256": content.sha256,
        "styles": [dataclasses.asdict(share) for share in target.cell.styles],
        "alpha": target.cell.alpha,
        "original_width": content.original_width,
        "original_height": content.original_height,
        "width": width,
        "height": height,
        "bytes": None if isinstance(data, ImageError) else len(data),
        "sha256": (
            None if isinstance(data, ImageError) else hashlib.sha256(data).hexdigest()
        ),
        "bundle_id": settings.bundle_id,
        "status": CellStatus.FAILED if failed else CellStatus.DONE,
        "note": None if isinstance(picture, ImageError) else picture.note,
        "shard": None,
        "offset": None,
        "metrics": None if isinstance(picture, ImageError) else picture.metrics,
    }
    return target_row(row, target)
