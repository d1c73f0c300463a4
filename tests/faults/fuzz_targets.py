"""What is fuzzed: of each kind of input a few good ones, and what is done with it.

A target takes bytes and either does something with them or fails in the typed way:
`UsageError` of a command, `ImageError` of a picture. All else that it raises is a
fault. Commands run as a user runs them, with `--dry-run` where there is one.
"""

import contextlib
import csv
import dataclasses
import io
import json
import os
import pathlib
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from pipelines import cli
from pipelines.command.inputs import list_inputs
from pipelines.errors import UsageError
from transforms.elements import ImageError

CONTENTS: Final = ("a.png", "b.png", "same/copy-of-b.png", "c.png")
STYLES: Final = ("a.png", "b.png")


class WrongError(Exception):
    """A target did something that it must not do in silence."""


@dataclasses.dataclass(frozen=True)
class Place:
    """Where fuzzing happens.

    Attributes:
        whole: The folder with inputs and unbroken outputs, which is only read.
        scratch: A folder for what is made of the inputs.
    """

    whole: pathlib.Path
    scratch: pathlib.Path

    def write(self, name: str, data: bytes) -> str:
        """Write a file of the scratch folder; return its path."""
        path = self.scratch / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return str(path)

    def copy(self, part: str) -> pathlib.Path:
        """Return a copy of a folder of the whole, made once."""
        folder = self.scratch / part
        if not folder.exists():
            shutil.copytree(self.whole / part, folder)
        return folder


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
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        status = cli.main(argv)
    if status not in (0, 1, 2):
        raise WrongError(f"exit status {status}")
    return status


# --- pictures ---


def _pictures(_place: Place) -> list[bytes]:
    y, x = np.mgrid[0:40, 0:48]
    pixels = np.stack([x * 5, y * 6, (x + y) * 2], -1).astype(np.uint8)
    picture = Image.fromarray(pixels)
    alpha = picture.convert("RGBA")
    alpha.putalpha(Image.fromarray((x * 5).astype(np.uint8)))
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "a cat " * 200, zip=True)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = [picture.convert("P"), picture.rotate(90).convert("P")]
    ways: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (picture, "PNG", {"pnginfo": text, "icc_profile": profile}),
        (alpha, "PNG", {}),
        (picture.convert("P"), "PNG", {"transparency": 3}),
        (Image.fromarray((x * 1000).astype(np.uint16)), "PNG", {}),
        (picture, "JPEG", {"exif": exif, "icc_profile": profile}),
        (picture, "JPEG", {"progressive": True}),
        (picture.convert("CMYK"), "JPEG", {}),
        (alpha, "WEBP", {}),
        (picture, "WEBP", {"lossless": True}),
        (frames[0], "GIF", {"save_all": True, "append_images": frames[1:]}),
        (picture, "BMP", {}),
        (picture, "TIFF", {"compression": "tiff_lzw"}),
        (alpha, "TIFF", {"compression": "tiff_adobe_deflate"}),
        (picture, "TIFF", {"save_all": True, "append_images": [picture]}),
        (picture, "AVIF", {}),
        (picture, "JPEG2000", {}),
        (picture, "PPM", {}),
        (Image.fromarray(x.astype(np.float32)), "TIFF", {}),
    ]
    found = []
    for image, kind, options in ways:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        found.append(buffer.getvalue())
    return found


def _decode(_place: Place, data: bytes) -> None:
    from transforms.images.decoder import decode_image

    if data.startswith(_METADATA):
        try:
            decode_image(data.removeprefix(_METADATA))
        except ImageError as error:
            raise WrongError(f"metadata is taken for corruption: {error}") from error
    with contextlib.suppress(ImageError):
        decoded = decode_image(data, size=32)
        if decoded.pixels.dtype != np.uint8 or decoded.pixels.shape[2:] != (3,):
            raise WrongError(f"pixels {decoded.pixels.dtype} {decoded.pixels.shape}")


def _pictures_with_metadata() -> st.SearchStrategy[bytes]:
    """Return PNGs of one picture with as much metadata as programs write."""
    pixels = np.arange(40 * 48 * 3, dtype=np.uint8).reshape(40, 48, 3)
    size = st.sampled_from([0, 1000, 200_000, 1_500_000, 3_000_000])

    def write(text: int, profile: int, compressed: bool) -> bytes:
        buffer = io.BytesIO()
        about = PngImagePlugin.PngInfo()
        if text:
            about.add_text("workflow", "n" * text, zip=compressed)
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        icc = srgb + bytes(profile) if profile else None
        Image.fromarray(pixels).save(buffer, "PNG", pnginfo=about, icc_profile=icc)
        return _METADATA + buffer.getvalue()

    return st.builds(write, size, size, st.booleans())


# Marks an input whose pixels are good, whatever stands around them.
_METADATA: Final = b"good pixels:"


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


# --- archives ---


def _tars(place: Place) -> list[bytes]:
    found = []
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
            for name in ("d/a.png", "b.png", "l" * 60 + "/" + "m" * 60 + ".png"):
                data = (place.whole / "inputs/contents/a.png").read_bytes()[:600]
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            link = tarfile.TarInfo("link.png")
            link.type, link.linkname = tarfile.SYMTYPE, "b.png"
            archive.addfile(link)
        found.append(buffer.getvalue())
    return found


def _zips(place: Place) -> list[bytes]:
    data = (place.whole / "inputs/contents/a.png").read_bytes()[:600]
    found = []
    for way in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", way) as archive:
            archive.writestr("d/", "")
            archive.writestr("d/a.png", data)
            archive.writestr("é\\b.png", data)
        found.append(buffer.getvalue())
    return found


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


# --- pair files ---


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


def _csv_pairs(_place: Place) -> list[bytes]:
    return [
        b"content,style\na.png,b.png\nb.png,a.png\n",
        b"\xef\xbb\xbfcontent,style,weights,alpha,mask\r\na.png,a.png;b.png,1;3,0.5,\r\n",
        b'content,style,alpha\n"a.png","b.png",1\nsame/copy-of-b.png,a.png,0.25\n',
    ]


def _parquet_pairs(_place: Place) -> list[bytes]:
    tables = [
        {"content": ["a.png", "b.png"], "style": ["b.png", "a.png"]},
        {"content": ["a.png"], "style": [["a.png", "b.png"]], "weights": [[1.0, 3.0]]},
    ]
    return [_parquet(pa.table(table)) for table in tables]


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def _judged(place: Place, path: str) -> list[Mapping[str, Any]] | None:
    """Return what the rows of a file of pairs became; None where it was refused."""
    from pipelines.command.flags import make_config
    from pipelines.stylize.config import StylizeConfig
    from pipelines.stylize.plan import plan
    from transforms.storage.folder import OutputFolder
    from transforms.stylize.pair_table import bad_pairs, write_pair_table

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
    plain = [line for line in text.replace("\r\n", "\n").split("\n")[1:] if line]
    if '"' not in text and "\r" not in text.replace("\r\n", ""):
        _all_there(rows, len(plain))
    with contextlib.suppress(csv.Error):
        strict = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        _all_there(rows, len([row for row in strict[1:] if row]))
        return
    raise WrongError("a quote that is never closed, or stands inside, is accepted")


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
    for number, content in enumerate(table["content"].to_pylist(), start=1):
        if isinstance(content, list) and len(content) != 1 and number in used:
            raise WrongError(f"a content of {len(content)} values became one picture")


def _csv_tables() -> st.SearchStrategy[bytes]:
    text = st.text(st.characters(exclude_characters="\0"), max_size=8)
    content = st.sampled_from([*CONTENTS, "a.png;b.png", " a.png", "none.png"]) | text
    style = st.sampled_from([*STYLES, "a.png;b.png", "a.png;a.png", ";"]) | text
    number = st.sampled_from(
        ["", "1", "0.5", "1;3", "1e308;1e308", "-1", "nan", "1e-320;0", "0;0", "1e999"]
    )
    mask = st.sampled_from(
        ["", "", "../a.png", "/dev/null", "/dev/zero", ".", "nul\x00l.png", "a;b"]
    )

    def write(rows: list[tuple[str, ...]], quoting: int, mark: bytes) -> bytes:
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer, quoting=quoting)
        writer.writerow(["content", "style", "weights", "alpha", "mask"])
        writer.writerows(rows)
        return mark + buffer.getvalue().encode("utf-8", "replace")

    return st.builds(
        write,
        st.lists(st.tuples(content, style, number, number, mask), max_size=5),
        st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
        st.sampled_from([b"", b"\xef\xbb\xbf"]),
    )


def _parquet_tables() -> st.SearchStrategy[bytes]:
    kinds = st.sampled_from(
        [
            pa.array(["a.png", "b.png"]),
            pa.array([["a.png"], ["a.png", "b.png"]]),
            pa.array([["a.png", None], []]),
            pa.array([b"a.png", b"\xff\xfe"]),
            pa.array([1, None]),
            pa.array([0.5, float("nan")]),
            pa.array([0.3, 0.25], pa.float32()),
            pa.array([[1.0, 3.0], [1e308, 1e308]]),
            pa.array(["a.png", "b.png"]).dictionary_encode(),
            pa.array([{"x": 1}, {"x": 2}]),
            pa.array([True, False]),
            pa.array([None, None]),
            pa.array([10**12, 5], pa.timestamp("s")),
            pa.array(["a.png", "b.png"], pa.large_string()),
        ]
    )
    names = st.lists(
        st.sampled_from(["weights", "alpha", "mask", "other"]), unique=True, max_size=3
    )

    def write(content: Any, style: Any, more: list[str], columns: list[Any]) -> bytes:
        table = {"content": content, "style": style}
        table |= dict(zip(more, columns, strict=False))
        return _parquet(pa.table(table))

    return st.builds(
        write, kinds, kinds, names, st.lists(kinds, min_size=3, max_size=3)
    )


# --- sweeps and annotations ---


def _sweeps(_place: Place) -> list[bytes]:
    return [
        b"[settings]\nsteps = 3\n[sweep]\nstyle-weight = [1, 1e3]\n"
        b'style-layers = [["block1_conv1"]]\n',
        b'[[run]]\nname = "a"\ntv-weight = 1.5\n[[run]]\nsteps = 7\n',
    ]


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


def _sweep_values() -> st.SearchStrategy[bytes]:
    value = st.sampled_from(
        [
            "1",
            "0",
            "-1",
            "1e400",
            "nan",
            "inf",
            "10000000000000000000000",
            "true",
            "''",
            "'x'",
            "[]",
            "[1]",
            "['x']",
            "{a=1}",
            "[[]]",
            "1979-05-27",
            "0.5",
            "[nan]",
            "['block1_conv1']",
            "[['block1_conv1']]",
            "[1,2]",
            "'lbfgs'",
            "'adam'",
            "[true]",
            "1_000",
        ]
    )
    keys = [
        "steps",
        "style-weight",
        "content-weight",
        "tv-weight",
        "layer-weights",
        "style-layers",
        "content-layers",
        "size",
        "seed",
        "optimizer",
        "learning-rate",
        "init",
        "tv",
        "name",
        "pooling",
    ]
    key = st.sampled_from(keys)
    lines = st.lists(st.tuples(key, value), max_size=4, unique_by=lambda pair: pair[0])
    head = st.sampled_from(["[settings]", "[sweep]", "[[run]]", "[run]", "run = 1", ""])

    def write(tables: list[tuple[str, list[tuple[str, str]]]]) -> bytes:
        return "\n".join(
            line
            for head, lines in tables
            for line in (head, *(f"{name} = {value}" for name, value in lines))
        ).encode()

    return st.builds(write, st.lists(st.tuples(head, lines), max_size=3))


_CAPTIONS: Final = {
    "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
    "annotations": [
        {"image_id": 1, "caption": "a cat"},
        {"image_id": 2, "caption": "two dogs "},
        {"image_id": 9, "caption": "elsewhere"},
    ],
}


def _captions(_place: Place) -> list[bytes]:
    return [json.dumps(_CAPTIONS).encode()]


def _strange_json(value: Any) -> st.SearchStrategy[bytes]:
    """Return a JSON value with one or two of its parts replaced."""
    strange = st.sampled_from(
        [
            *(None, True, 0, -1, 10**23, 2**63, 1.5, float("nan"), [], {}, [[]]),
            *("", "\ud800", "é" * 3, "NaN", "a\0b", "/etc/passwd", "..", "x" * 5000),
            {"id": {}},
        ]
    )

    def places(part: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        yield path
        items: Any = ()
        if isinstance(part, dict):
            items = part.items()
        elif isinstance(part, list):
            items = enumerate(part)
        for key, inner in items:
            yield from places(inner, (*path, key))

    def replaced(changes: list[tuple[tuple[Any, ...], Any]]) -> bytes:
        copy = json.loads(json.dumps(value))
        for path, new in changes:
            if not path:
                copy = new
                continue
            part = copy
            with contextlib.suppress(KeyError, IndexError, TypeError):
                for key in path[:-1]:
                    part = part[key]
                part[path[-1]] = new
        return json.dumps(copy).encode()

    change = st.tuples(st.sampled_from(list(places(value))), strange)
    return st.builds(replaced, st.lists(change, min_size=1, max_size=2))


def _annotate(kind: str) -> Callable[[Place, bytes], None]:
    flag, suffix = {
        "coco": ("--captions", "json"),
        "wikiart": ("--wikiart-list", "csv"),
    }[kind]

    def call(place: Place, data: bytes) -> None:
        from transforms.annotations import sources

        path = place.write(f"annotations.{suffix}", data)
        for cached in (sources.read_captions, sources.read_wikiart_list):
            cached.cache_clear()
        sources._styles_by_file.cache_clear()
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


def _wikiart(_place: Place) -> list[bytes]:
    return [
        b"Cubism/a.png,7\nBaroque/x_y.jpg,4\n",
        b'"Pop_Art/b.png",20\r\n',
        b"\xef\xbb\xbfCubism/a.png,7\n",
    ]


# --- what commands read of earlier ones ---


def _bundle_json(place: Place) -> list[bytes]:
    return [(place.whole.parent / "bundle/bundle.json").read_bytes()]


def _bundle_npz(place: Place) -> list[bytes]:
    return [(place.whole.parent / "bundle/decoder.npz").read_bytes()]


def _bundle(name: str) -> Callable[[Place, bytes], None]:
    def call(place: Place, data: bytes) -> None:
        folder = place.scratch / "bundle"
        if not folder.exists():
            shutil.copytree(place.whole.parent / "bundle", folder)
        (folder / name).write_bytes(data)
        if name.endswith(".npz"):  # Or its hash refuses whatever is inside.
            about = json.loads((place.whole.parent / "bundle/bundle.json").read_bytes())
            from model.bundle import _seal

            about["files"][name] = _seal(data)
            (folder / "bundle.json").write_text(json.dumps(about))
        _stylize(place, "--bundle", str(folder), "--dry-run")

    return call


def _bundle_values() -> st.SearchStrategy[bytes]:
    path = pathlib.Path(os.environ["FAULTS_BUNDLE"], "bundle.json")
    return _strange_json(json.loads(path.read_bytes()))


def _npz_of_headers() -> st.SearchStrategy[bytes]:
    """Return .npz files whose headers promise more than there is."""
    shape = st.lists(st.sampled_from([0, 1, 3, 4, 10**6, 10**12, 2**33]), max_size=4)
    kind = st.sampled_from(["<f4", "<f2", "|O", "<i8", "<U4", "<c16", "|V5"])

    def write(arrays: list[tuple[list[int], str]], way: int) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", way) as archive:
            for number, (dimensions, dtype) in enumerate(arrays):
                head = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': "
                head += f"{tuple(dimensions)!r}, }}"
                head = head.ljust(117) + "\n"
                magic = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little")
                name = f"block{number + 1}_conv1/kernel.npy"
                archive.writestr(name, magic + head.encode() + b"\0" * 64)
        return buffer.getvalue()

    return st.builds(
        write,
        st.lists(st.tuples(shape, kind), min_size=1, max_size=3),
        st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    )


def _of_output(part: str) -> Callable[[Place], list[bytes]]:
    def seeds(place: Place) -> list[bytes]:
        return [path.read_bytes() for path in sorted(place.whole.glob(part))]

    return seeds


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
            with contextlib.suppress(UsageError, ImageError, OSError):
                config = make_config(TrainConfig, _defaults("train", values))
                planned = plan(config)
                for index in (planned.content, planned.held_out_content):
                    list(square_pictures(index, range(min(len(index), 3)), 32))
        finally:
            path.write_bytes(before)

    return call


def _data_set_json() -> st.SearchStrategy[bytes]:
    path = pathlib.Path(os.environ["FAULTS_BUNDLE"]).parent / "whole/ingest/ingest.json"
    return _strange_json(json.loads(path.read_bytes()))


def _job_json() -> st.SearchStrategy[bytes]:
    path = pathlib.Path(os.environ["FAULTS_BUNDLE"]).parent / "whole/stylize/job.json"
    return _strange_json(json.loads(path.read_bytes()))


def _manifest_values() -> st.SearchStrategy[bytes]:
    """Return manifests of stylize with hostile values in one or two columns."""
    whole = pathlib.Path(os.environ["FAULTS_BUNDLE"]).parent / "whole"
    table = pq.read_table(next(whole.glob("stylize/manifest/part-*.parquet")))
    strange: list[Any] = [None, "", "../../x", "/etc/passwd", "\0", -1, 2**62, 1e300]
    strange += [[], "x" * 3000, float("nan"), "done", b"\xff"]

    def write(changes: list[tuple[str, Any]], times: int) -> bytes:
        rows = table.to_pylist() * times
        found = table
        for name, value in changes:
            for row in rows:
                row[name] = value
        with contextlib.suppress(pa.ArrowException, TypeError, ValueError):
            found = pa.Table.from_pylist(rows, table.schema)
        with contextlib.suppress(pa.ArrowException, TypeError, ValueError):
            found = pa.Table.from_pylist(rows).replace_schema_metadata(
                table.schema.metadata
            )
        return _parquet(found)

    change = st.tuples(st.sampled_from(table.column_names), st.sampled_from(strange))
    return st.builds(
        write, st.lists(change, min_size=1, max_size=2), st.sampled_from([0, 1, 2])
    )


def _tensors(place: Place) -> list[bytes]:
    import pickle

    header = {"a.weight": {"dtype": "F16", "shape": [2, 2], "data_offsets": [0, 8]}}
    text = json.dumps(header).encode()
    safe = len(text).to_bytes(8, "little") + text + bytes(8)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"a": 1}, protocol=2))
        archive.writestr("archive/data/0", bytes(16))
    return [safe, buffer.getvalue(), pickle.dumps({"a": 1}, protocol=2)]


def _read_tensors(place: Place, data: bytes) -> None:
    path = place.write("weights.pth", data)
    argv = ["--encoder", path, "--decoder", path, "--license", "none"]
    command("import-weights", *argv, "--output", str(place.scratch / "no-output"))


def _safetensors() -> st.SearchStrategy[bytes]:
    header = {"a.weight": {"dtype": "F16", "shape": [2, 2], "data_offsets": [0, 8]}}

    def write(text: bytes) -> bytes:
        return len(text).to_bytes(8, "little") + text + bytes(8)

    return st.builds(write, _strange_json(header))


TARGETS: Final[Mapping[str, Target]] = {
    "image": Target(
        _pictures,
        _decode,
        (b"IDAT", b"IHDR", b"zTXt", b"acTL", b"Exif"),
        _pictures_with_metadata,
    ),
    "kept-image": Target(_pictures, _prepare, (b"\xff\xe1", b"\xff\xc0", b"eXIf")),
    "tar": Target(_tars, _archive("tar"), (b"\x80", b"\xff" * 8, b"ustar", b"../")),
    "zip": Target(_zips, _archive("zip"), (b"PK\1\2", b"PK\5\6", b"..\\", b"\xff\xff")),
    "pairs-csv": Target(_csv_pairs, _csv_rows, (b'"', b",", b";", b"\r"), _csv_tables),
    "pairs-parquet": Target(_parquet_pairs, _parquet_rows, (), _parquet_tables),
    "sweep": Target(_sweeps, _sweep, (b"[", b"]", b"=", b"nan"), _sweep_values),
    "captions": Target(
        _captions,
        _annotate("coco"),
        (b"\\ud800", b"null", b'"', b"9" * 30),
        lambda: _strange_json(_CAPTIONS),
    ),
    "wikiart": Target(
        _wikiart, _annotate("wikiart"), (b'"', b"/", b",", b"\0", b"\xff")
    ),
    "tfrecord": Target(
        _of_output("ingest/*.tfrecord-*"), _data_set("*-train.tfrecord-*")
    ),
    "data-set": Target(
        _of_output("ingest/ingest.json"), _data_set("ingest.json"), (), _data_set_json
    ),
    "data-manifest": Target(
        _of_output("ingest/manifest/part-*.parquet"), _data_set("manifest/part-*")
    ),
    "manifest": Target(
        _of_output("stylize/manifest/part-*.parquet"),
        _state("manifest/part-*.parquet"),
        (),
        _manifest_values,
    ),
    "job": Target(_of_output("stylize/job.json"), _state("job.json"), (), _job_json),
    "bank": Target(_of_output("stylize/styles.parquet"), _bank),
    "bundle": Target(_bundle_json, _bundle("bundle.json"), (), _bundle_values),
    "weights": Target(_bundle_npz, _bundle("decoder.npz"), (), _npz_of_headers),
    "tensors": Target(_tensors, _read_tensors, (b"c", b"R.", b"U\1"), _safetensors),
}
