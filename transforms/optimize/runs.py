"""A run of `optimize`: its names, its files, and its row in `runs.parquet`."""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.config import Network, canonical_json
from model.gatys.sharpness import high_frequency_energy
from transforms.elements import CellStatus, Failure, ImageError, ImageRef
from transforms.images.decoder import encode_image
from transforms.optimize.schemas import OPTIMIZE_CURVES, OPTIMIZE_RUNS
from transforms.optimize.settings import FORMAT, RunSettings
from transforms.storage.committed_table import CommittedTable
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row, table_bytes
from transforms.storage.stored_file import StoredFile, rows_digest, sha256

if TYPE_CHECKING:  # It imports TensorFlow, which a launcher does without.
    from model.gatys.run import GatysResult, StepLosses

RUNS: Final = "runs.parquet"
CURVES: Final = "curves.parquet"


def _files(row: Row) -> Iterator[StoredFile]:
    yield StoredFile(row["path"], row["sha256"])
    yield StoredFile(row["curve_path"], row["curve_sha256"])
    for shot in row["snapshots"]:
        yield StoredFile(shot["path"], shot["sha256"])


RUNS_TABLE: Final = CommittedTable(
    RUNS,
    OPTIMIZE_RUNS,
    owner=("pair_id", "setting"),
    order=("content_key", "style_key", "path"),
    files=_files,
    # A part is read for every one of its runs.
    weight=1024,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Original:
    """A content or a style that can be decoded; what crosses shuffles.

    Attributes:
        ref: Where the bytes are.
        sha256: The sha256 of the bytes.
    """

    ref: ImageRef
    sha256: str


@dataclasses.dataclass(frozen=True, slots=True)
class StyleUse:
    """A style of a run, how much of it, and where.

    Attributes:
        original: The style.
        weight: Share of the style; 1 where a run has one.
        mask: Path of the mask; empty where there is none.
        mask_sha256: The sha256 of the mask's file; None where there is none.
    """

    original: Original
    weight: float = 1.0
    mask: str = ""
    mask_sha256: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the style as a row of the table has it."""
        return {
            "id": self.original.ref.id,
            "key": self.original.ref.key,
            "sha256": self.original.sha256,
            "weight": self.weight,
            "mask_sha256": self.mask_sha256,
        }


@dataclasses.dataclass(frozen=True, slots=True)
class VggChoice:
    """The network of a job.

    Attributes:
        network: Which VGG.
        sha256: The sha256 of its weights.
        source: Path of the weights; None for the packaged ones.
    """

    network: Network
    sha256: str
    source: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """A picture to be optimised; what crosses the shuffle.

    Attributes:
        content: The content.
        styles: The styles, at least one.
        settings: The settings.
        setting: Id of the settings.
        name: What the sweep file calls the settings; may be empty.
    """

    content: Original
    styles: tuple[StyleUse, ...]
    settings: RunSettings
    setting: str
    name: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether one style is for the whole picture."""
        return len(self.styles) == 1 and self.styles[0].mask_sha256 is None

    @property
    def styles_id(self) -> str:
        """Id of the style, or `mix-` and 12 hexadecimal digits, as `stylize` has it."""
        if self.is_plain:
            return self.styles[0].original.ref.id
        made_of = [[u.original.ref.id, u.weight, u.mask_sha256] for u in self.styles]
        return f"mix-{hashlib.sha256(canonical_json(made_of)).hexdigest()[:12]}"

    @property
    def styles_sha256(self) -> str:
        """The sha256 of the style's file, or one over those of a mix."""
        if self.is_plain:
            return self.styles[0].original.sha256
        made_of = [[u.original.sha256, u.weight, u.mask_sha256] for u in self.styles]
        return hashlib.sha256(canonical_json(made_of)).hexdigest()

    @property
    def pair_id(self) -> str:
        """16 hexadecimal digits for content and styles, the same in every run."""
        return pair_id(self.content.ref.id, self.styles_id)

    @property
    def folder(self) -> str:
        """Where the run's snapshots are; its picture is beside."""
        name = f"{self.settings.slug()}-{self.setting}"
        return f"runs/{self.content.ref.id}/{self.styles_id}/{name}"

    @property
    def path(self) -> str:
        """Path of the picture, relative to the output."""
        return f"{self.folder}.{FORMAT}"

    @property
    def curve_path(self) -> str:
        """Path of the file with the losses of every step."""
        return f"{CURVES}/{self.pair_id}-{self.setting}.parquet"

    def failure(self, stage: str, error: ImageError) -> Failure:
        """Return the failure row for this run."""
        source = self.content.ref.source
        return Failure(self.path, source, stage, error.reason, error.message)

    def run_id(self, network_sha256: str) -> str:
        """Return 16 hexadecimal digits that change with everything that changes bytes.

        Args:
            network_sha256: The sha256 of the network's weights.
        """
        made_of = {
            **self.settings.made_of(network_sha256),
            "content_sha256": self.content.sha256,
            "style_sha256": self.styles_sha256,
        }
        return hashlib.sha256(canonical_json(made_of)).hexdigest()[:16]


def pair_id(content_id: str, style_id: str) -> str:
    """Return 16 hexadecimal digits for a content and a style.

    >>> pair_id("a", "b")
    'c14cddc033f64b9d'
    """
    return hashlib.sha256(f"{content_id}/{style_id}".encode()).hexdigest()[:16]


def done_row(output: OutputFolder, parts: int, run: Run, vgg: VggChoice) -> Row | None:
    """Return the row of a run that is committed and whose files are undamaged."""
    run_id = run.run_id(vgg.sha256)
    done = RUNS_TABLE.done_rows(output, parts, run.pair_id, run.setting, run_id=run_id)
    return done[0] if done else None


def commit_run(output: OutputFolder, row: Row) -> None:
    """Commit the row of a run: from here on it is done.

    Raises:
        OSError: It cannot be written; the run is not done.
    """
    RUNS_TABLE.commit(output, [row], row["pair_id"], rows_digest([row]))


def styles_of(row: Row) -> Sequence[Mapping[str, Any]]:
    """Return the styles of a row; of an earlier version it has one, and no list."""
    alone = {name: row[f"style_{name}"] for name in ("id", "key", "sha256")}
    return row.get("styles") or [{**alone, "weight": 1.0, "mask_sha256": None}]


def write_run(
    output: OutputFolder,
    run: Run,
    vgg: VggChoice,
    result: "GatysResult",
    note: str | None = None,
) -> Row:
    """Write the files of a run, and return its row.

    Args:
        output: Output folder of the job.
        run: The run.
        vgg: The network.
        result: What came of it.
        note: What a reader should know of it.

    Raises:
        OSError: A file cannot be written.
    """
    run_id = run.run_id(vgg.sha256)
    picture = _write_picture(output, run.path, result.picture)
    snapshots = []
    for step, pixels in result.snapshots:
        path = f"{run.folder}/step-{step:05d}.{FORMAT}"
        data = _write_picture(output, path, pixels)
        snapshots.append({"step": step, "path": path, "sha256": sha256(data)})
    curve = table_bytes(_curve(run, run_id, result.curve))
    output.write(run.curve_path, curve)
    last = result.curve[-1]
    height, width = result.picture.shape[:2]
    return {
        "run_id": run_id,
        "pair_id": run.pair_id,
        "setting": run.setting,
        "name": run.name,
        "content_id": run.content.ref.id,
        "content_key": run.content.ref.key,
        "content_sha256": run.content.sha256,
        "style_id": run.styles_id,
        "style_key": " + ".join(use.original.ref.key for use in run.styles),
        "style_sha256": run.styles_sha256,
        "styles": [use.to_json() for use in run.styles],
        "network": vgg.network,
        "network_sha256": vgg.sha256,
        "width": width,
        "height": height,
        "settings": run.settings.to_json(),
        "steps": result.steps,
        "stopped_early": result.stopped_early,
        "total": last.total,
        "content": last.content,
        "style": last.style,
        "tv": last.tv,
        "losses_by_layer": sorted(result.losses_by_layer.items()),
        "high_frequency_energy": high_frequency_energy(result.picture),
        "path": run.path,
        "bytes": len(picture),
        "sha256": sha256(picture),
        "snapshots": snapshots,
        "curve_path": run.curve_path,
        "curve_sha256": sha256(curve),
        "status": str(CellStatus.DONE),
        "note": note,
    }


def _write_picture(
    output: OutputFolder, path: str, pixels: npt.NDArray[np.uint8]
) -> bytes:
    data = encode_image(pixels, FORMAT)
    output.write(path, data)
    return data


def _curve(run: Run, run_id: str, curve: "Sequence[StepLosses]") -> pa.Table:
    columns = {
        "run_id": [run_id] * len(curve),
        "setting": [run.setting] * len(curve),
        **{
            name: [getattr(losses, name) for losses in curve]
            for name in ("step", "total", "content", "style", "tv")
        },
    }
    return pa.table(columns, OPTIMIZE_CURVES)
