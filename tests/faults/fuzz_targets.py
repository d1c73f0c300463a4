"""What is fuzzed: of each kind of input a few good ones, and what is done with it.

A target takes bytes and either does something with them or fails in the typed way:
`UsageError` of a command, `ImageError` of a picture, `DamagedFileError` of a file of
ours. All else that it raises is a fault. Commands run as a user runs them, with
`--dry-run` where there is one.
"""

import contextlib
import csv
import dataclasses
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from fuzz_inputs import (
    CAPTIONS,
    METADATA,
    Place,
    bank_values,
    bundle_json,
    bundle_npz,
    bundle_values,
    captions,
    csv_pairs,
    csv_tables,
    data_set_json,
    job_json,
    manifest_values,
    npz_of_headers,
    of_output,
    parquet_pairs,
    parquet_tables,
    pictures,
    pictures_with_metadata,
    safetensors,
    strange_json,
    sweep_values,
    sweeps,
    tars,
    tars_of_headers,
    tensors,
    wikiart,
    zips,
)
from hypothesis import strategies as st

from model.checksums import DamagedFileError
from pipelines import cli
from pipelines.command.inputs import list_inputs
from pipelines.errors import UsageError
from transforms.elements import ImageError


class WrongError(Exception):
    """A target did something that it must not do in silence."""


@dataclasses.dataclass(frozen=True)
class Target:
    """Something that takes input from outside.

    Attributes:
        seeds: Returns good inputs.
        call: Does with an input what stylebeam does.
        words: What inputs are made of, for the mutator.
        made: Returns a strategy for inputs of the right form with strange values.
    """

    seeds: Callable[[Place], Sequence[bytes]]
    call: Callable[[Place, bytes], None]
    words: tuple[bytes, ...] = ()
    made: Callable[[], st.SearchStrategy[bytes]] | None = None


def command(*argv: str) -> int:
    """Run a command in this process, its output thrown away; return its status."""
    with (
        # As the streams of a process of ours are.
        open(os.devnull, "w", errors="backslashreplace") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        status = cli.main(argv)
    if status not in (0, 1, 2):
        raise WrongError(f"exit status {status}")
    return status


def _decode(_place: Place, data: bytes) -> None:
    from transforms.images.decoder import decode_image

    if data.startswith(METADATA):
        try:
            decode_image(data.removeprefix(METADATA))
        except ImageError as error:
            raise WrongError(f"metadata is taken for corruption: {error}") from error
    with contextlib.suppress(ImageError):
        decoded = decode_image(data, size=32)
        if decoded.pixels.dtype != np.uint8 or decoded.pixels.shape[2:] != (3,):
            raise WrongError(f"pixels {decoded.pixels.dtype} {decoded.pixels.shape}")


def _prepare(place: Place, data: bytes, annotations: Any = None, key: str = "") -> None:
    """Make a record of `ingest` of a picture."""
    from transforms.annotations.dataset_layout import DatasetSettings
    from transforms.annotations.sources import AnnotationSource, SourceImage
    from transforms.elements import ImageRef
    from transforms.ingest.prepare import prepare_image
    from transforms.storage.schemas import INGEST_MANIFEST

    settings = DatasetSettings(
        name="n",
        size=32,
        val_fraction=0.0,
        shards=1,
        encode="keep",
        quality=90,
        min_side=16,
        max_pixels=10**6,
        annotations=annotations or AnnotationSource(),
    )
    with contextlib.suppress(ImageError):
        ref = ImageRef(key or "a.png", "in", "in/a.png", size=len(data))
        prepared = prepare_image(SourceImage(ref), data, settings)
        columns = {field.name for field in INGEST_MANIFEST}
        row = {n: v for n, v in prepared.row.items() if n in columns}
        pa.Table.from_pylist([row], INGEST_MANIFEST)


def _archive(suffix: str) -> Callable[[Place, bytes], None]:
    def call(place: Place, data: bytes) -> None:
        from transforms.inputs.reading import read_image

        path = place.write(f"archive.{suffix}", data)
        try:
            listing = list_inputs("--content", [path], str(place.scratch / "out"))
        except UsageError:
            return
        for number, ref in enumerate(listing.refs()):
            with contextlib.suppress(ImageError):
                read_image(ref)
            if number == 20:
                break

    return call


def _stylize(place: Place, *more: str, output: str = "no-output") -> int:
    inputs = place.whole / "inputs"
    return command(
        "stylize",
        "--content",
        str(inputs / "contents"),
        "--style",
        str(inputs / "styles"),
        "--output",
        str(place.scratch / output),
        *more,
    )


def _judged(place: Place, path: str) -> list[Mapping[str, Any]] | None:
    """Return what the rows of a file of pairs became; None where it was refused."""
    from pipelines.command.flags import make_config
    from pipelines.stylize.config import StylizeConfig
    from pipelines.stylize.plan import plan
    from transforms.steps.pair_table import bad_pairs, write_pair_table
    from transforms.storage.folder import OutputFolder

    inputs = place.whole / "inputs"
    values = {
        "content": [str(inputs / "contents")],
        "style": [str(inputs / "styles")],
        "output": str(place.scratch / "no-output"),
        "pairing": path,
    }
    try:
        config = make_config(StylizeConfig, _defaults("stylize", values))
        rows = plan(config).pairs
    except UsageError:
        return None
    output = OutputFolder(str(place.scratch / "pairs"))
    failed = list(bad_pairs(write_pair_table(output, rows or ())))
    if len(failed) != sum(bool(row["problem"]) for row in rows or ()):
        raise WrongError("a bad row is no failure")
    if any(len(failure.message) > 2000 for failure in failed):
        raise WrongError("a message of more than 2000 letters")
    return list(rows or ())


def _defaults(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    parser = cli.build_parser()
    argv = [name]
    for flag, value in values.items():
        argv += [f"--{flag}", *([value] if isinstance(value, str) else value)]
    args, _ = parser.parse_known_args(argv)
    return vars(args)


def _csv_rows(place: Place, data: bytes) -> None:
    rows = _judged(place, place.write("pairs.csv", data))
    if rows is None:
        return
    # Lines are the rows of a file without quotes, whoever reads it.
    text = data.decode("utf-8-sig")
    plain = [line.split(",") for line in text.replace("\r\n", "\n").split("\n")]
    if '"' not in text and "\r" not in text.replace("\r\n", ""):
        _all_there(rows, _count(plain))
    with contextlib.suppress(csv.Error):
        strict = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        _all_there(rows, _count(strict))
        return
    raise WrongError("a quote that is never closed, or stands inside, is accepted")


def _count(rows: Iterable[Sequence[str]]) -> int:
    """Return how many rows below the header have a value."""
    return sum(any(map(str.strip, cells)) for cells in rows) - 1


def _all_there(rows: Sequence[Mapping[str, Any]], count: int) -> None:
    found = len({row["number"] for row in rows})
    if found != count:
        raise WrongError(f"{count} rows in the file, {found} were judged")


def _parquet_rows(place: Place, data: bytes) -> None:
    rows = _judged(place, place.write("pairs.parquet", data))
    if rows is None:
        return
    table = pq.read_table(io.BytesIO(data))
    _all_there(rows, table.num_rows)
    used = {row["number"] for row in rows if not row["problem"]}
    # Not as values: Python has no dates as far out as Arrow.
    contents = table["content"].combine_chunks()
    if not (pa.types.is_list(contents.type) or pa.types.is_large_list(contents.type)):
        return
    for number, count in enumerate(pc.list_value_length(contents).to_pylist(), start=1):
        if count not in (None, 1) and number in used:
            raise WrongError(f"a content of {count} values became one picture")


def _sweep(place: Place, data: bytes) -> None:
    from pipelines.command.flags import make_config
    from pipelines.optimize.config import OptimizeConfig
    from pipelines.optimize.job import plan

    inputs = place.whole / "inputs"
    values = {
        "content": [str(inputs / "contents/a.png")],
        "style": [str(inputs / "styles/a.png")],
        "output": str(place.scratch / "no-output"),
        "sweep": place.write("sweep.toml", data),
    }
    with contextlib.suppress(UsageError):
        plan(make_config(OptimizeConfig, _defaults("optimize", values)))
        # Many editors begin a file with a byte order mark.
        place.write("sweep.toml", b"\xef\xbb\xbf" + data.removeprefix(b"\xef\xbb\xbf"))
        try:
            plan(make_config(OptimizeConfig, _defaults("optimize", values)))
        except UsageError as error:
            raise WrongError(f"a byte order mark is refused: {error}") from error


def _annotate(kind: str) -> Callable[[Place, bytes], None]:
    flag, suffix = {
        "coco": ("--captions", "json"),
        "wikiart": ("--wikiart-list", "csv"),
    }[kind]

    def call(place: Place, data: bytes) -> None:
        from transforms.annotations import coco, sources

        path = place.write(f"annotations.{suffix}", data)
        for cached in (*vars(sources).values(), *vars(coco).values()):
            if hasattr(cached, "cache_clear"):
                cached.cache_clear()
        folder = str(place.whole / "inputs/contents")
        argv = ["--input", folder, "--output", str(place.scratch / "no-output")]
        argv += ["--name", "n", "--kind", kind, flag, path, "--dry-run"]
        if command("ingest", *argv) == 0:
            if kind == "wikiart" and any(
                "\ufeff" in name for name in sources.read_wikiart_list(path)
            ):
                raise WrongError("a byte order mark became part of a name")
            source = sources.AnnotationSource(
                kind,  # type: ignore[arg-type]
                path if kind == "coco" else "",
                (path,) if kind == "wikiart" else (),
            )
            picture = (place.whole / "inputs/contents/a.png").read_bytes()
            for key in ("a.png", "Cubism/b.png"):
                _prepare(place, picture, source, key)

    return call


def _bundle(name: str) -> Callable[[Place, bytes], None]:
    def call(place: Place, data: bytes) -> None:
        folder = place.scratch / "bundle"
        if not folder.exists():
            shutil.copytree(place.whole.parent / "bundle", folder)
        (folder / name).write_bytes(data)
        if name.endswith(".npz"):  # Or its hash refuses whatever is inside.
            about = json.loads((place.whole.parent / "bundle/bundle.json").read_bytes())
            seal = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
            about["files"][name] = seal
            (folder / "bundle.json").write_text(json.dumps(about))
        _stylize(place, "--bundle", str(folder), "--dry-run")

    return call


def _bank(place: Place, data: bytes) -> None:
    path = place.write("styles.parquet", data)
    inputs = place.whole / "inputs"
    argv = ["--content", str(inputs / "contents"), "--style-bank", path]
    argv += ["--output", str(place.scratch / "no-output"), "--dry-run"]
    if command("stylize", *argv) == 0:
        from transforms.stylize.style_bank import load_bank

        bank = load_bank(path)
        # Sixteen channels at the one tap of the tiny encoder.
        if bank is None or bank.mean.shape != (len(bank.styles), 16):
            raise WrongError("a bank of vectors that fit no network was accepted")
        if bank.std.shape != bank.mean.shape or not np.isfinite(bank.mean).all():
            raise WrongError("a bank of vectors that fit no network was accepted")


def _state(name: str) -> Callable[[Place, bytes], None]:
    """Return what goes on with an output of stylize in which one file is changed."""

    def call(place: Place, data: bytes) -> None:
        folder = place.copy("stylize")
        (path,) = folder.glob(name)
        before = path.read_bytes()
        path.write_bytes(data)
        try:
            _stylize(place, "--alpha", "0.5,1", "--dry-run", output="stylize")
            more = ["--alpha", "0.5,1", "--retry-failed", "--dry-run"]
            _stylize(place, *more, output="stylize")
        finally:
            path.write_bytes(before)

    return call


def _data_set(name: str) -> Callable[[Place, bytes], None]:
    """Return what reads a data set in which one file is changed."""

    def call(place: Place, data: bytes) -> None:
        from pipelines.command.flags import make_config
        from pipelines.train.config import TrainConfig
        from pipelines.train.plan import plan
        from transforms.images.center_crop import square_pictures

        folder = place.copy("ingest")
        path = sorted(folder.glob(name))[0]
        before = path.read_bytes()
        path.write_bytes(data)
        try:
            argv = ["--input", str(place.whole / "inputs/contents")]
            argv += ["--output", str(folder), "--name", "contents", "--size", "48"]
            argv += ["--shards", "2", "--val-fraction", "0.4", "--dry-run"]
            command("ingest", *argv)
            values = {"content": [str(folder)], "style": [str(folder)]}
            values |= {"workdir": str(place.scratch / "no-output"), "init": "default"}
            values |= {"batch-size": "1", "crop": "32"}
            damage = (UsageError, ImageError, DamagedFileError, OSError)
            with contextlib.suppress(*damage):
                config = make_config(TrainConfig, _defaults("train", values))
                planned = plan(config)
                for index in (planned.content, planned.held_out_content):
                    list(square_pictures(index, range(min(len(index), 3)), 32))
        finally:
            path.write_bytes(before)

    return call


def _read_tensors(place: Place, data: bytes) -> None:
    path = place.write("weights.pth", data)
    argv = ["--encoder", path, "--decoder", path, "--license", "none"]
    command("import-weights", *argv, "--output", str(place.scratch / "no-output"))


TARGETS: Final[Mapping[str, Target]] = {
    "image": Target(
        pictures,
        _decode,
        (b"IDAT", b"IHDR", b"zTXt", b"acTL", b"Exif"),
        pictures_with_metadata,
    ),
    "kept-image": Target(pictures, _prepare, (b"\xff\xe1", b"\xff\xc0", b"eXIf")),
    "tar": Target(
        tars, _archive("tar"), (b"\x80", b"\xff" * 8, b"ustar", b"../"), tars_of_headers
    ),
    "zip": Target(zips, _archive("zip"), (b"PK\1\2", b"PK\5\6", b"..\\", b"\xff\xff")),
    "pairs-csv": Target(csv_pairs, _csv_rows, (b'"', b",", b";", b"\r"), csv_tables),
    "pairs-parquet": Target(parquet_pairs, _parquet_rows, (), parquet_tables),
    "sweep": Target(sweeps, _sweep, (b"[", b"]", b"=", b"nan"), sweep_values),
    "captions": Target(
        captions,
        _annotate("coco"),
        (b"\\ud800", b"null", b'"', b"9" * 30),
        lambda: strange_json(CAPTIONS),
    ),
    "wikiart": Target(
        wikiart, _annotate("wikiart"), (b'"', b"/", b",", b"\0", b"\xff")
    ),
    "tfrecord": Target(
        of_output("ingest/*.tfrecord-*"), _data_set("*-train.tfrecord-*")
    ),
    "data-set": Target(
        of_output("ingest/ingest.json"), _data_set("ingest.json"), (), data_set_json
    ),
    "data-manifest": Target(
        of_output("ingest/manifest/part-*.parquet"), _data_set("manifest/part-*")
    ),
    "manifest": Target(
        of_output("stylize/manifest/part-*.parquet"),
        _state("manifest/part-*.parquet"),
        (),
        manifest_values,
    ),
    "job": Target(of_output("stylize/job.json"), _state("job.json"), (), job_json),
    "bank": Target(of_output("stylize/styles.parquet"), _bank, (), bank_values),
    "bundle": Target(bundle_json, _bundle("bundle.json"), (), bundle_values),
    "weights": Target(bundle_npz, _bundle("decoder.npz"), (), npz_of_headers),
    "tensors": Target(tensors, _read_tensors, (b"c", b"R.", b"U\1"), safetensors),
}
