"""What is to be done for a content: its cells, less those that are there and intact.

Contents of equal bytes are planned together: a picture is computed once and written to
each of its paths.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from transforms.elements import CellStatus, Count, Failure, ImageError, ImageRef
from transforms.images.load import ImageBytes
from transforms.images.thumbnails import has_thumbnail, thumbnail_name, write_thumbnail
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row
from transforms.storage.parts import unit_hash
from transforms.storage.worker_progress import progress_of
from transforms.stylize.cells import (
    Cell,
    Layout,
    OutputFormat,
    StyleShare,
    StylizeSettings,
    cell_id,
    cell_path,
)
from transforms.stylize.manifest import (
    commit_rows,
    committed_rows,
    picture_file,
    rows_of_unfinished,
)
from transforms.stylize.pairing import Pairing, Recipe


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """One picture to write.

    Attributes:
        ref: The content, one of those with equal bytes.
        cell: The picture's names.
    """

    ref: ImageRef
    cell: Cell


@dataclasses.dataclass(frozen=True, slots=True)
class Painting:
    """One picture to compute.

    Attributes:
        recipe: What to do to the content.
        targets: Where to write it.
        measured: Whether its quality is wanted.
    """

    recipe: Recipe
    targets: tuple[Target, ...]
    measured: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class PlannedContent:
    """A content and those of its cells that are not there yet.

    Attributes:
        image: The bytes of the content.
        refs: All contents with these bytes, in the order of their keys.
        paintings: The pictures to make.
        kept: How many cells are there already.
        copied: How many were there under another path, and were copied.
        extra: How many more pictures the contents have, of earlier runs: of styles that
            they do not meet in this one.
        failures: Contents that cannot be paired, each counted as a cell.
    """

    image: ImageBytes
    refs: tuple[ImageRef, ...]
    paintings: Sequence[Painting]
    kept: int
    copied: int
    extra: int
    failures: tuple[Failure, ...]

    @property
    def cells(self) -> int:
        """How many cells the contents have in all."""
        made = sum(len(painting.targets) for painting in self.paintings)
        return made + self.kept + self.copied + len(self.failures)


@dataclasses.dataclass(frozen=True)
class PlanCells:
    """Compares the cells that a content should have with those that it has.

    Attributes:
        output: Whose manifest.
        settings: The identity of the output.
        pairing: Which styles it meets.
        layout: Of the pictures' paths.
        output_format: Of the pictures' files.
        metrics_fraction: Share of the cells whose quality is wanted.
        manifest_parts: How many parts the manifest has.
        dry: Whether nothing may be written.
    """

    output: OutputFolder
    settings: StylizeSettings
    pairing: Pairing
    layout: Layout
    output_format: OutputFormat
    metrics_fraction: float
    manifest_parts: int
    dry: bool = False

    def __call__(
        self,
        image: ImageBytes,
        refs: Sequence[ImageRef],
        styles: Sequence[StyleShare],
        only_styles: frozenset[str] | None = None,
    ) -> PlannedContent:
        """Return what is left to do.

        Args:
            image: The bytes of a content.
            refs: All contents with these bytes.
            styles: The bank.
            only_styles: Keys of the styles whose cells are looked at; None for all.
        """
        wanted: dict[Recipe, list[Target]] = {}
        rows: dict[str, Row] = {}
        failures = []
        for ref in refs:
            if self.dry:
                rows |= rows_of_unfinished(self.output, ref.id, ref.key)
            else:
                rows |= committed_rows(
                    self.output, self.manifest_parts, ref.id, ref.key
                )
            try:
                for recipe in self.pairing.recipes(ref, image.sha256, styles):
                    keys = {share.key for share in recipe.styles}
                    if only_styles is None or keys & only_styles:
                        target = Target(ref, self._cell(ref, image.sha256, recipe))
                        wanted.setdefault(recipe, []).append(target)
            except ImageError as error:
                failures.append(ref.failure("Pair", error))
        paintings, kept, copied = [], 0, 0
        seen: set[str] = set()
        for recipe, targets in wanted.items():
            missing = []
            original: tuple[Row, bytes] | None = None
            for target in targets:
                if target.cell.path in seen:  # a file of pairs says it twice
                    continue
                seen.add(target.cell.path)
                row = rows.get(target.cell.path)
                data = self._intact(row, target.cell)
                if row is None or data is None or not self._is_shown(row, data):
                    missing.append(target)
                else:
                    kept += 1
                    original = row, data
            if original and not self.dry:
                copies = [t for t in missing if self._copy(t, *original)]
                copied += len(copies)
                missing = [t for t in missing if t not in copies]
            if missing:
                measured = self._is_measured(missing[0].cell)
                paintings.append(Painting(recipe, tuple(missing), measured))
        if not self.dry:
            progress_of(self.output).add(cells_kept=kept, cells_done=copied)
        extra = 0 if only_styles is not None else _pictures(rows, but=seen)
        return PlannedContent(
            image, tuple(refs), paintings, kept, copied, extra, tuple(failures)
        )

    def _cell(self, ref: ImageRef, content_sha256: str, recipe: Recipe) -> Cell:
        styles, alpha, settings = recipe.styles, recipe.alpha, self.settings
        path = cell_path(ref, styles, alpha, settings.format, self.layout)
        digest = cell_id(path, content_sha256, styles, alpha, settings)
        return Cell(digest, path, styles, alpha)

    def _is_measured(self, cell: Cell) -> bool:
        return unit_hash(cell.cell_id) < self.metrics_fraction

    def _intact(self, row: Row | None, cell: Cell) -> bytes | None:
        """Return the bytes of a cell that is committed, as wanted and undamaged."""
        if (
            row is None
            or row["cell_id"] != cell.cell_id
            or row["status"] != CellStatus.DONE
            or (self._is_measured(cell) and not _has_metrics(row))
        ):
            return None
        return picture_file(row).read_intact(self.output)

    def _is_shown(self, row: Row, data: bytes) -> bool:
        """Return whether a picture has its thumbnail, made again where it was gone."""
        if self.dry or self.output_format != "files":
            return True
        try:
            name = thumbnail_name(row["path"])
            if has_thumbnail(row["width"], row["height"]) and not self.output.exists(
                name
            ):
                write_thumbnail(self.output, row["path"], data)
        except (ImageError, OSError):
            return False  # The picture is made, and fails, as any other.
        return True

    def _copy(self, target: Target, row: Row, data: bytes) -> bool:
        """Write what is there already to another path; return whether it could be."""
        if self.output_format != "files":
            return False
        try:
            self.output.write(target.cell.path, data)
            write_thumbnail(self.output, target.cell.path, data)
            copy = target_row(row, target)
            commit_rows(self.output, target.ref.id, [copy])
        except (ImageError, OSError):
            return False  # It is made, and fails, as any other.
        return True


def _pictures(rows: Mapping[str, Row], but: set[str]) -> int:
    return sum(
        row["status"] == CellStatus.DONE and path not in but
        for path, row in rows.items()
    )


def _has_metrics(row: Row) -> bool:
    return row["metrics"] is not None and row["metrics"]["content_loss"] is not None


def target_row(row: Row, target: Target) -> Row:
    """Return a manifest row as the row of an equal picture under another name."""
    return {
        **row,
        "cell_id": target.cell.cell_id,
        "content_id": target.ref.id,
        "content_key": target.ref.key,
        "path": target.cell.path,
    }


def content_counts(planned: PlannedContent) -> Iterator[tuple[str, int]]:
    """Yield the counts of a content that was decoded, or whose cells are all there."""
    yield Count.CONTENTS_DECODED, len(planned.refs)
    yield Count.CELLS_PLANNED, planned.cells
    yield Count.CELLS_KEPT, planned.kept
    yield Count.CELLS_DONE, planned.copied
    yield Count.CELLS_FAILED, len(planned.failures)
    yield Count.CELLS_EXTRA, planned.extra
