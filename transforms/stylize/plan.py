"""What is to be done for a content: its cells, less those that are there and intact.

Contents of equal bytes are planned together: a picture is computed once and written to
each of its paths.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence

from transforms.annotations.known_of_cells import CellAnnotations
from transforms.elements import CellStatus, Count, Failure, ImageError, ImageRef
from transforms.images.load import LoadedImage
from transforms.images.thumbnails import (
    has_thumbnail,
    is_shown,
    thumbnail_name,
    write_thumbnail,
)
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row
from transforms.storage.parts import unit_hash
from transforms.storage.worker_progress import progress_of
from transforms.stylize.cells import (
    ORIGINAL,
    Cell,
    Layout,
    OutputFormat,
    StyleShare,
    StylizeSettings,
    cell_id,
    cell_path,
)
from transforms.stylize.committed_cells import CommittedCells
from transforms.stylize.manifest import (
    commit_rows,
    committed_rows,
    journal_by_content,
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
        sha256: The sha256 of the bytes of the content.
        refs: All contents with these bytes, in the order of their keys.
        paintings: The pictures to make.
        kept: How many cells are there already.
        copied: How many were there under another path, and were copied.
        extra: How many more pictures the contents have, of earlier runs: of styles that
            they do not meet in this one.
        failures: Contents that cannot be paired, each counted as a cell.
    """

    sha256: str
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
        layout: Layout of the pictures' paths.
        output_format: Format of the pictures' files.
        metrics_fraction: Share of the cells whose quality is wanted.
        manifest_parts: How many parts the manifest has.
        dry: Whether nothing may be written.
        annotations: What is known of contents and styles; None where nothing is.
    """

    output: OutputFolder
    settings: StylizeSettings
    pairing: Pairing
    layout: Layout
    output_format: OutputFormat
    metrics_fraction: float
    manifest_parts: int
    dry: bool = False
    annotations: CellAnnotations | None = None

    def __call__(
        self,
        sha256: str,
        refs: Sequence[ImageRef],
        styles: Sequence[StyleShare],
        only_styles: frozenset[str] | None = None,
    ) -> PlannedContent:
        """Return what is left to do.

        Args:
            sha256: The sha256 of the bytes of a content.
            refs: All contents with these bytes.
            styles: The bank.
            only_styles: Keys of the styles whose cells are looked at; None for all.
        """
        wanted: dict[Recipe, list[Target]] = {}
        failures = []
        seen: set[str] = set()
        for ref in refs:
            try:
                if self.annotations is not None and not self.dry:
                    self.annotations.check(ref)
                for recipe in self.pairing.recipes(ref, sha256, styles):
                    keys = {share.key for share in recipe.styles}
                    looked_at = only_styles is None or keys & only_styles
                    if looked_at or recipe.is_original:
                        target = Target(ref, self._cell(ref, sha256, recipe))
                        if target.cell.path not in seen:  # or a file of pairs says it
                            seen.add(target.cell.path)  # twice
                            wanted.setdefault(recipe, []).append(target)
            except ImageError as error:
                failures.append(ref.failure("Pair", error))
        rows = _Rows(self, refs)
        kept = self._kept([t for targets in wanted.values() for t in targets], rows)
        paintings, copied = [], 0
        for recipe, targets in wanted.items():
            missing = [t for t in targets if t.cell.path not in kept]
            if missing and len(missing) < len(targets) and not self.dry:
                original = next(t for t in targets if t.cell.path in kept)
                copies = self._copies(missing, original, rows)
                copied += len(copies)
                missing = [t for t in missing if t not in copies]
            if missing:
                measured = self._is_measured(missing[0].cell)
                paintings.append(Painting(recipe, tuple(missing), measured))
        if not self.dry:
            progress_of(self.output).add(cells_kept=len(kept), cells_done=copied)
        extra = 0
        if only_styles is None and not self.dry:
            extra = self._extra(refs, kept, seen, rows)
        return PlannedContent(
            sha256, tuple(refs), paintings, len(kept), copied, extra, tuple(failures)
        )

    @functools.cached_property
    def _committed(self) -> CommittedCells:
        # Read when the first content is there: then the manifest is recovered.
        return CommittedCells.read(self.output, journal=self.dry)

    @functools.cached_property
    def _journal(self) -> Mapping[str, Sequence[str]]:
        return journal_by_content(self.output)

    def _kept(self, targets: Sequence[Target], rows: "_Rows") -> set[str]:
        """Return the paths of the cells that are committed, as wanted and undamaged."""
        cells = [target.cell for target in targets]
        shown = self.output_format == "files" and not self.dry
        kept = set()
        for cell, seen in zip(cells, self._committed.look(cells, shown), strict=True):
            if not seen.committed or (self._is_measured(cell) and not seen.measured):
                continue
            if seen.trusted or self._is_intact(cell, rows.get(cell.path)):
                kept.add(cell.path)
        return kept

    def _is_intact(self, cell: Cell, row: Row | None) -> bool:
        """Return whether the bytes of a cell are those that were committed."""
        if row is None or row["cell_id"] != cell.cell_id:
            return False
        if row["status"] != CellStatus.DONE:
            return False
        data = picture_file(row).read_intact(self.output)
        return data is not None and self._is_shown(row, data)

    def _extra(
        self, refs: Sequence[ImageRef], kept: set[str], seen: set[str], rows: "_Rows"
    ) -> int:
        """Return how many more pictures the contents have than this run asks for."""
        if sum(self._committed.count(ref.id) for ref in refs) <= len(kept):
            return 0
        if kept == seen:
            return sum(self._committed.count(ref.id) for ref in refs) - len(kept)
        return _pictures(rows.all, but=seen)

    def _cell(self, ref: ImageRef, content_sha256: str, recipe: Recipe) -> Cell:
        styles, alpha, settings = recipe.styles, recipe.alpha, self.settings
        path = cell_path(ref, styles, alpha, settings.format, self.layout)
        digest = cell_id(path, content_sha256, styles, alpha, settings)
        if said := self._said(ref, styles):
            # A picture whose label changed is another cell: its row tells of it.
            digest = hashlib.sha256(f"{digest} {said}".encode()).hexdigest()[:16]
        return Cell(digest, path, styles, alpha)

    def _said(self, ref: ImageRef, styles: Sequence[StyleShare]) -> str:
        if self.annotations is None:
            return ""
        return self.annotations.digest(ref, [share.id for share in styles])

    def check_turned(self, refs: Sequence[ImageRef], image: LoadedImage) -> None:
        """Refuse contents whose objects lie elsewhere once EXIF has turned them.

        Raises:
            ImageError: bad_annotation: where they are cannot be told.
        """
        if self.annotations is not None:
            upright = (image.original_width, image.original_height)
            for ref in refs:
                self.annotations.check_turned(ref, upright, image.orientation)

    def has_previews(self, names: Sequence[str]) -> bool:
        """Return whether previews of contents are there and whole, where they must be.

        One that was not written since the manifest was is not opened.
        """
        if self.output_format != "files" or self._committed.are_untouched(names):
            return True
        return all(is_shown(self.output, name) for name in names)

    def _is_measured(self, cell: Cell) -> bool:
        # An original has no style whose loss could be measured.
        is_styled = cell.styles != (ORIGINAL,)
        return is_styled and unit_hash(cell.cell_id) < self.metrics_fraction

    def _is_shown(self, row: Row, data: bytes) -> bool:
        """Return whether a picture has its thumbnail, made again if it is damaged."""
        if self.dry or self.output_format != "files":
            return True
        try:
            name = thumbnail_name(row["path"])
            if has_thumbnail(row["width"] or 0, row["height"] or 0) and not is_shown(
                self.output, name
            ):
                write_thumbnail(self.output, row["path"], data)
        except (ImageError, OSError):
            return False  # The picture is made, and fails, as any other.
        return True

    def _copies(
        self, missing: Sequence[Target], original: Target, rows: "_Rows"
    ) -> list[Target]:
        """Write what is there already to other paths; return those that could be."""
        row = rows.get(original.cell.path)
        if self.output_format != "files" or row is None:
            return []
        data = picture_file(row).read_intact(self.output)
        if data is None:
            return []
        return [target for target in missing if self._copy(target, row, data)]

    def _copy(self, target: Target, row: Row, data: bytes) -> bool:
        try:
            self.output.write(target.cell.path, data)
            write_thumbnail(self.output, target.cell.path, data)
            copy = self.row_of(row, target)
            commit_rows(self.output, target.ref.id, [copy])
        except (ImageError, OSError):
            return False  # It is made, and fails, as any other.
        return True

    def row_of(self, row: Row, target: Target) -> Row:
        """Return a manifest row as the row of a cell, with what is known of it.

        Raises:
            ImageError: A label map of the content cannot be read.
        """
        found = target_row(row, target)
        if self.annotations:
            found |= self.annotations.columns(target.ref, found)
        return found

    def rows_of(self, ref: ImageRef) -> Mapping[str, Row]:
        """Return the committed rows of a content by path."""
        if self.dry:
            return rows_of_unfinished(self.output, ref.id, ref.key, self._journal)
        return committed_rows(self.output, self.manifest_parts, ref.id, ref.key)


@dataclasses.dataclass
class _Rows:
    """The committed rows of some contents by path, read when they are needed."""

    plan: PlanCells
    refs: Sequence[ImageRef]

    @functools.cached_property
    def all(self) -> Mapping[str, Row]:
        return {
            path: row
            for ref in self.refs
            for path, row in self.plan.rows_of(ref).items()
        }

    def get(self, path: str) -> Row | None:
        return self.all.get(path)


def _pictures(rows: Mapping[str, Row], but: set[str]) -> int:
    return sum(
        row["status"] == CellStatus.DONE and path not in but
        for path, row in rows.items()
    )


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
