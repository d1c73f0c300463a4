"""Good inputs of each kind, and strategies for strange ones of the right form."""

import contextlib
import copy
import csv
import dataclasses
import io
import json
import os
import pathlib
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

CONTENTS: Final = ("a.png", "b.png", "same/copy-of-b.png", "c.png")


STYLES: Final = ("a.png", "b.png")


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


def pictures(_place: Place) -> list[bytes]:
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


def pictures_with_metadata() -> st.SearchStrategy[bytes]:
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
        return METADATA + buffer.getvalue()

    return st.builds(write, size, size, st.booleans())


# Marks an input whose pixels are good, whatever stands around them.
METADATA: Final = b"good pixels:"


def tars(place: Place) -> list[bytes]:
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


def tars_of_headers() -> st.SearchStrategy[bytes]:
    """Return tars with a hostile field in a header whose checksum is right."""
    # Octal, and base 256 for what octal has no room for: negative, too.
    numbers = [b"77777777777\0", b"00000000000\0", b"garbage", b"\xff" * 12]
    numbers += [b"\xff" * 11 + b"\0", b"\xff" * 10 + b"\xfe\0", b"\x80" + b"\xff" * 11]
    numbers += [b"\xff" + b"\0" * 11, b"\xff" * 8 + b"\0\0\2\0", b"\0" * 12]
    kinds = [b"0", b"\0", b"1", b"2", b"5", b"L", b"K", b"x", b"g", b"S", b"7", b"Z"]
    names = [b"../a.png", b"/a.png", b"\xff\xfe.png", b"d\\a.png", b"", b"a\nb.png"]
    field = st.one_of(
        st.tuples(st.just(124), st.sampled_from(numbers)),
        st.tuples(st.just(136), st.sampled_from(numbers)),
        st.tuples(st.just(156), st.sampled_from(kinds)),
        st.tuples(st.just(0), st.sampled_from(names)),
        st.tuples(st.just(483), st.sampled_from(numbers)),
    )

    def write(members: list[list[tuple[int, bytes]]]) -> bytes:
        found = b""
        for fields in members:
            info = tarfile.TarInfo("a.png")
            info.size = 600
            head = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
            for at, value in fields:
                head[at : at + len(value)] = value
            head[148:156] = b" " * 8
            head[148:156] = b"%06o\0 " % sum(head)
            found += bytes(head) + b"p" * 600 + bytes(424)
        return found + bytes(1024)

    return st.builds(
        write, st.lists(st.lists(field, max_size=2), min_size=1, max_size=3)
    )


def zips(place: Place) -> list[bytes]:
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


def csv_pairs(_place: Place) -> list[bytes]:
    return [
        b"content,style\na.png,b.png\nb.png,a.png\n",
        b"\xef\xbb\xbfcontent,style,weights,alpha,mask\r\na.png,a.png;b.png,1;3,0.5,\r\n",
        b'content,style,alpha\n"a.png","b.png",1\nsame/copy-of-b.png,a.png,0.25\n',
    ]


def parquet_pairs(_place: Place) -> list[bytes]:
    tables = [
        {"content": ["a.png", "b.png"], "style": ["b.png", "a.png"]},
        {"content": ["a.png"], "style": [["a.png", "b.png"]], "weights": [[1.0, 3.0]]},
    ]
    return [parquet(pa.table(table)) for table in tables]


def parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def csv_tables() -> st.SearchStrategy[bytes]:
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


def parquet_tables() -> st.SearchStrategy[bytes]:
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
        return parquet(pa.table(table))

    return st.builds(
        write, kinds, kinds, names, st.lists(kinds, min_size=3, max_size=3)
    )


def sweeps(_place: Place) -> list[bytes]:
    return [
        b"[settings]\nsteps = 3\n[sweep]\nstyle-weight = [1, 1e3]\n"
        b'style-layers = [["block1_conv1"]]\n',
        b'[[run]]\nname = "a"\ntv-weight = 1.5\n[[run]]\nsteps = 7\n',
    ]


def sweep_values() -> st.SearchStrategy[bytes]:
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


CAPTIONS: Final = {
    "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
    "annotations": [
        {"image_id": 1, "caption": "a cat"},
        {"image_id": 2, "caption": "two dogs "},
        {"image_id": 9, "caption": "elsewhere"},
    ],
}


def captions(_place: Place) -> list[bytes]:
    return [json.dumps(CAPTIONS).encode()]


def strange_json(value: Any) -> st.SearchStrategy[bytes]:
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
        whole = json.loads(json.dumps(value))
        for path, chosen in changes:
            # A second change may go into what the first one put in.
            new = copy.deepcopy(chosen)
            if not path:
                whole = new
                continue
            part = whole
            with contextlib.suppress(KeyError, IndexError, TypeError):
                for key in path[:-1]:
                    part = part[key]
                part[path[-1]] = new
        return json.dumps(whole).encode()

    change = st.tuples(st.sampled_from(list(places(value))), strange)
    return st.builds(replaced, st.lists(change, min_size=1, max_size=2))


def wikiart(_place: Place) -> list[bytes]:
    return [
        b"Cubism/a.png,7\nBaroque/x_y.jpg,4\n",
        b'"Pop_Art/b.png",20\r\n',
        b"\xef\xbb\xbfCubism/a.png,7\n",
    ]


def bundle_json(place: Place) -> list[bytes]:
    return [(place.whole.parent / "bundle/bundle.json").read_bytes()]


def bundle_npz(place: Place) -> list[bytes]:
    return [(place.whole.parent / "bundle/decoder.npz").read_bytes()]


def bundle_values() -> st.SearchStrategy[bytes]:
    path = pathlib.Path(os.environ["FAULTS_BUNDLE"], "bundle.json")
    return strange_json(json.loads(path.read_bytes()))


def npz_of_headers() -> st.SearchStrategy[bytes]:
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


def of_output(part: str) -> Callable[[Place], list[bytes]]:
    def seeds(place: Place) -> list[bytes]:
        return [path.read_bytes() for path in sorted(place.whole.glob(part))]

    return seeds


def data_set_json() -> st.SearchStrategy[bytes]:
    path = pathlib.Path(os.environ["FAULTS_BUNDLE"]).parent / "whole/ingest/ingest.json"
    return strange_json(json.loads(path.read_bytes()))


def job_json() -> st.SearchStrategy[bytes]:
    """Return strange job.json, with no checksum: what it guards is to be looked at."""
    path = pathlib.Path(os.environ["FAULTS_BUNDLE"]).parent / "whole/stylize/job.json"
    job = json.loads(path.read_bytes())
    del job["crc32c"]
    return strange_json(job)


def manifest_values() -> st.SearchStrategy[bytes]:
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
        return parquet(found)

    change = st.tuples(st.sampled_from(table.column_names), st.sampled_from(strange))
    return st.builds(
        write, st.lists(change, min_size=1, max_size=2), st.sampled_from([0, 1, 2])
    )


def bank_values() -> st.SearchStrategy[bytes]:
    """Return style banks with vectors that fit no network."""
    whole = pathlib.Path(os.environ["FAULTS_BUNDLE"]).parent / "whole"
    table = pq.read_table(whole / "stylize/styles.parquet")
    change = st.tuples(
        st.sampled_from(["mean", "std", "key", "id", "sha256"]),
        st.sampled_from(["short", "empty", "nan", "null", "twice", "ragged"]),
    )

    def changed(value: Any, how: str, row: int) -> Any:
        if how == "null":
            return None
        if isinstance(value, str):
            return "" if how in ("short", "empty") else value
        if how == "nan":
            return [float("nan"), *value[1:]]
        length = {"short": 3, "empty": 0, "twice": 99}.get(how, 15 + row)
        return (value * 7)[:length]

    def write(changes: list[tuple[str, str]]) -> bytes:
        rows = table.to_pylist()
        for name, how in changes:
            for number, row in enumerate(rows):
                row[name] = changed(row[name], how, number) if row[name] else row[name]
        try:
            return parquet(pa.Table.from_pylist(rows, table.schema))
        except (pa.ArrowException, TypeError, ValueError):
            return parquet(table)

    return st.builds(write, st.lists(change, min_size=1, max_size=2))


def tensors(place: Place) -> list[bytes]:
    import pickle

    header = {"a.weight": {"dtype": "F16", "shape": [2, 2], "data_offsets": [0, 8]}}
    text = json.dumps(header).encode()
    safe = len(text).to_bytes(8, "little") + text + bytes(8)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"a": 1}, protocol=2))
        archive.writestr("archive/data/0", bytes(16))
    return [safe, buffer.getvalue(), pickle.dumps({"a": 1}, protocol=2)]


def safetensors() -> st.SearchStrategy[bytes]:
    header = {"a.weight": {"dtype": "F16", "shape": [2, 2], "data_offsets": [0, 8]}}

    def write(text: bytes) -> bytes:
        return len(text).to_bytes(8, "little") + text + bytes(8)

    return st.builds(write, strange_json(header))
