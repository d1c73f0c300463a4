import dataclasses
import hashlib
import io
import json
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from model.bundle import (
    PACKAGED,
    Bundle,
    BundleError,
    load_bundle,
    read_local,
)
from model.config import STYLE_LAYERS, ConvSpec, canonical_json
from model.networks.decoder import mirror_layers
from model.networks.encoder import layers_to
from model.npz import read_npz

Arrays = dict[str, np.ndarray]
Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def folder(tiny_bundle: Bundle, tmp_path: pathlib.Path) -> pathlib.Path:
    tiny_bundle.save(tmp_path / "bundle")
    return tmp_path / "bundle"


def reseal(folder: pathlib.Path, name: str, data: bytes) -> None:
    """Replace a file and its hash, so that what is inside gets looked at."""
    (folder / name).write_bytes(data)
    description = json.loads((folder / "bundle.json").read_bytes())
    digest = hashlib.sha256(data).hexdigest()
    description["files"][name] = {"sha256": digest, "size": len(data)}
    (folder / "bundle.json").write_bytes(canonical_json(description))


def npz(arrays: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def test_bundle_round_trips_byte_for_byte(
    tiny_bundle: Bundle, folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    loaded = load_bundle(str(folder) + "/")
    assert loaded.bundle_id == tiny_bundle.bundle_id
    assert loaded.encoder_layers == tiny_bundle.encoder_layers
    assert loaded.decoder_layers == tiny_bundle.decoder_layers
    loaded.save(tmp_path / "again")
    names = ["bundle.json", "decoder.npz", "encoder.npz"]
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == names
    for name in names:
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    for part in ("encoder", "decoder"):
        for name, array in getattr(tiny_bundle, part).items():
            np.testing.assert_array_equal(array, getattr(loaded, part)[name])


def test_bundle_json_is_canonical_and_gives_the_id(
    tiny_bundle: Bundle, folder: pathlib.Path
) -> None:
    data = (folder / "bundle.json").read_bytes()
    assert data == canonical_json(json.loads(data))
    assert tiny_bundle.bundle_id == hashlib.sha256(data).hexdigest()[:12]
    encoder = (folder / "encoder.npz").read_bytes()
    assert tiny_bundle.encoder_sha256 == hashlib.sha256(encoder).hexdigest()


def test_same_networks_give_the_same_bytes(tiny_bundle: Bundle) -> None:
    """The order of the arrays, names beside them and the clock do not get in."""
    encoder = dict(reversed(tiny_bundle.encoder.items())) | {"other": np.zeros(1)}
    again = Bundle.create(
        tiny_bundle.encoder_layers,
        encoder,
        tiny_bundle.decoder_layers,
        tiny_bundle.decoder,
        about={"lineage": [], "license": "none, random weights"},
    )
    assert again.files == tiny_bundle.files
    assert again.bundle_id == tiny_bundle.bundle_id


def test_dtype_is_stored_as_given(tiny_bundle: Bundle) -> None:
    halved = Bundle.create(
        tiny_bundle.encoder_layers,
        {n: a.astype(np.float16) for n, a in tiny_bundle.encoder.items()},
        tiny_bundle.decoder_layers,
        tiny_bundle.decoder,
        about={},
    )
    assert {a.dtype for a in halved.encoder.values()} == {np.dtype(np.float16)}
    assert {a.dtype for a in halved.decoder.values()} == {np.dtype(np.float32)}
    assert halved.bundle_id != tiny_bundle.bundle_id


def test_narrower_network_round_trips(
    random_arrays: Callable[..., Arrays], tmp_path: pathlib.Path
) -> None:
    encoder = (
        ConvSpec("a", 3, 5, kernel=5, padding="zero"),
        ConvSpec("b", 5, 2, kernel=1, activation="linear", pool_before=True),
    )
    decoder = (
        ConvSpec("c", 2, 4, upsample_before=True),
        ConvSpec("d", 4, 3, activation="linear"),
    )
    bundle = Bundle.create(
        encoder, random_arrays(encoder), decoder, random_arrays(decoder), about={}
    )
    bundle.save(tmp_path)
    loaded = load_bundle(str(tmp_path))
    assert loaded.encoder_layers == encoder
    assert loaded.decoder_layers == decoder


@pytest.mark.parametrize(("name", "version"), [("default", 2), ("paper", 1)])
def test_packaged_bundle_loads_and_its_json_is_canonical(
    name: str, version: int
) -> None:
    bundle = load_bundle(name)
    assert bundle.encoder_layers[-1].name == "block4_conv1"
    assert bundle.description["format_version"] == version
    assert canonical_json(bundle.description) == read_local(
        f"{PACKAGED[name]}/bundle.json"
    )
    assert {"license", "lineage", "training", "metrics"} <= bundle.description.keys()


def test_paper_is_the_bundle_of_the_first_releases() -> None:
    bundle = load_bundle("paper")
    assert bundle.bundle_id == "7f81f19842b1"
    assert bundle.decoder_layers == mirror_layers(bundle.encoder_layers)


def test_default_aligns_four_levels_behind_a_narrow_encoder() -> None:
    network = load_bundle().architecture
    assert [tap.layer for tap in network.taps] == list(STYLE_LAYERS)
    assert network.encoder_layers[0].out_channels < 64


def test_path_that_is_named_as_a_packaged_bundle_is_a_folder(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, tiny_bundle: Bundle
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_bundle.save("default")
    assert load_bundle("./default").bundle_id == tiny_bundle.bundle_id
    assert load_bundle("default").bundle_id != tiny_bundle.bundle_id


def test_other_readers_get_every_file(tiny_bundle: Bundle) -> None:
    files = {
        "gs://bucket/b/bundle.json": canonical_json(tiny_bundle.description),
        **{f"gs://bucket/b/{n}": data for n, data in tiny_bundle.files.items()},
    }
    loaded = load_bundle("gs://bucket/b", files.__getitem__)
    assert loaded.bundle_id == tiny_bundle.bundle_id


@pytest.mark.parametrize("name", ["encoder.npz", "decoder.npz", "bundle.json"])
def test_missing_file_is_named(folder: pathlib.Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=f"{name} cannot be read"):
        load_bundle(str(folder))


def test_folder_without_a_bundle_says_what_to_give(tmp_path: pathlib.Path) -> None:
    with pytest.raises(BundleError, match=r"no bundle .* `stylebeam export` wrote"):
        load_bundle(str(tmp_path))


@pytest.mark.parametrize("name", ["encoder.npz", "decoder.npz"])
def test_changed_bit_is_found(folder: pathlib.Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(
        BundleError, match=f"{name} is damaged: .*Copy the bundle again"
    ):
        load_bundle(str(folder))


def test_truncated_npz_is_found(folder: pathlib.Path) -> None:
    data = (folder / "encoder.npz").read_bytes()
    (folder / "encoder.npz").write_bytes(data[:-100])
    with pytest.raises(BundleError, match=f"found {len(data) - 100} bytes"):
        load_bundle(str(folder))


def _npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: b"", r"encoder.npz cannot be read: not an \.npz"),
        (lambda data: data[:-100], r"encoder.npz cannot be read: not an \.npz"),
        (lambda data: _npy(), r"encoder.npz cannot be read: not an \.npz"),
        (
            lambda data: data[:200] + bytes(8) + data[208:],
            "encoder.npz cannot be read: a damaged .npz",
        ),
    ],
    ids=["empty", "truncated", "npy", "bytes changed"],
)
def test_damage_under_a_right_hash_is_found(
    folder: pathlib.Path, damage: Callable[[bytes], bytes], message: str
) -> None:
    reseal(folder, "encoder.npz", damage((folder / "encoder.npz").read_bytes()))
    with pytest.raises(BundleError, match=message):
        load_bundle(str(folder))


def test_pickled_objects_are_refused(tiny_bundle: Bundle, folder: pathlib.Path) -> None:
    evil = dict(tiny_bundle.encoder)
    evil["block1_conv1/bias"] = np.array([{}, None], object)
    reseal(folder, "encoder.npz", npz(evil))
    with pytest.raises(BundleError, match="allow_pickle=False"):
        load_bundle(str(folder))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        read_npz(npz({"x": np.array([{}], object)}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is damaged"),
        (b'{"format_version": 1', "is damaged"),
        (b"\xff\xfe", "is damaged"),
        (b"[]", "is damaged"),
        (b"{}", "is damaged: 'format_version'"),
        (b'{"format_version": 1}', "lacks 'encoder'"),
        (b'{"format_version": 1, "encoder": []}', "is damaged"),
        (b'{"format_version": 3}', "has format_version 3, this stylebeam reads 1"),
        (b'{"format_version": "1"}', "has format_version '1'"),
    ],
)
def test_damaged_or_unknown_json_is_refused(
    folder: pathlib.Path, text: bytes, message: str
) -> None:
    (folder / "bundle.json").write_bytes(text)
    with pytest.raises(BundleError, match=message):
        load_bundle(str(folder))


def _set(*path: str | int, value: Any) -> Change:
    def change(description: Any) -> None:
        for step in path[:-1]:
            description = description[step]
        description[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("encoder", "layers", 1, "dilation", value=2), r"properties \['dilation'"),
        (_set("encoder", "layers", 1, "activation", value="elu"), "relu or linear"),
        (_set("encoder", "layers", 1, "kernel", value="3"), "must be int"),
        (_set("encoder", "layers", 1, value=5), "A layer must be an object"),
        (_set("encoder", "layers", value=[]), "The encoder has no layers"),
        (_set("encoder", "layers", value=None), "is damaged"),
        (_set("encoder", "input_range", value="BGR"), "ranges are unknown"),
        (_set("decoder", "output_range", value="[-1, 1]"), "ranges are unknown"),
        (_set("files", value={}), "lacks 'encoder.npz'"),
        (_set("encoder", "layers", 1, "out", value=5), "block2_conv1 of the encoder"),
        (_set("encoder", "layers", 0, "in", value=1), "3 channels of RGB"),
        (_set("decoder", "layers", -1, "out", value=4), "3 channels of RGB"),
        (_set("encoder", "layers", 1, "name", value="block1_conv1"), "repeat"),
        (_set("encoder", "layers", 1, "name", value="x"), "do not fit .* x/kernel"),
        (_set("encoder", "layers", 1, "kernel", value=5), "do not fit its layers"),
        (_set("encoder", "layers", 1, "upsample_before", value=True), "the other"),
        (_set("decoder", "layers", 0, "pool_before", value=True), "the other"),
        (
            _set("decoder", "layers", 1, "upsample_before", value=False),
            "halves the picture 3 times, but the decoder doubles it 2 times",
        ),
    ],
)
def test_description_that_does_not_fit_is_refused(
    folder: pathlib.Path, change: Change, message: str
) -> None:
    description = json.loads((folder / "bundle.json").read_bytes())
    change(description)
    (folder / "bundle.json").write_bytes(canonical_json(description))
    with pytest.raises(BundleError, match=message):
        load_bundle(str(folder))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(5, np.float32), "do not fit its layers: block1_conv1/bias"),
        (np.float32([0, np.nan, 0, 0]), "must be finite .*: block1_conv1/bias"),
        (np.zeros(4, np.float64), "must be finite float16 or float32"),
        (np.zeros(4, np.int32), "must be finite float16 or float32"),
        (np.array(["a"] * 4), "must be finite float16 or float32"),
    ],
    ids=["shape", "nan", "float64", "int", "text"],
)
def test_arrays_that_do_not_fit_are_refused(
    tiny_bundle: Bundle, folder: pathlib.Path, array: np.ndarray, message: str
) -> None:
    encoder = {**tiny_bundle.encoder, "block1_conv1/bias": array}
    reseal(folder, "encoder.npz", npz(encoder))
    with pytest.raises(BundleError, match=message):
        load_bundle(str(folder))
    with pytest.raises(BundleError, match=message):
        Bundle.create(
            tiny_bundle.encoder_layers,
            encoder,
            tiny_bundle.decoder_layers,
            tiny_bundle.decoder,
            about={},
        )


def test_create_without_an_array_names_it(tiny_bundle: Bundle) -> None:
    decoder = dict(tiny_bundle.decoder)
    del decoder["decoder_block1_conv1/bias"]
    with pytest.raises(BundleError, match="lack the arrays decoder_block1_conv1/bias"):
        Bundle.create(
            tiny_bundle.encoder_layers,
            tiny_bundle.encoder,
            tiny_bundle.decoder_layers,
            decoder,
            about={},
        )


def test_decoder_of_another_network_is_refused(
    tiny_bundle: Bundle, folder: pathlib.Path, random_arrays: Callable[..., Arrays]
) -> None:
    shallow = layers_to(tiny_bundle.encoder_layers, "block3_conv1")
    layers = mirror_layers(shallow)
    with pytest.raises(BundleError, match="takes 8 channels, but the encoder gives 16"):
        Bundle.create(
            tiny_bundle.encoder_layers,
            tiny_bundle.encoder,
            layers,
            random_arrays(layers),
            about={},
        )
    # The file of another decoder, under this one's description.
    other = tuple(dataclasses.replace(s, name=f"other_{s.name}") for s in layers)
    reseal(folder, "decoder.npz", npz(random_arrays(other)))
    with pytest.raises(BundleError, match="arrays of the decoder do not fit its lay"):
        load_bundle(str(folder))


def test_bundles_need_no_tensorflow() -> None:
    code = (
        "import sys, model.config, model.bundle as b; b.load_bundle();"
        "print([m for m in ('tensorflow', 'keras', 'h5py') if m in sys.modules])"
    )
    root = pathlib.Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True
    )
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


class Killed(BaseException):
    """The process ends here."""


class Killer:
    """Ends a process at one of its writes: half written, or before it is renamed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
        self.left = steps
        write, replace = pathlib.Path.write_bytes, pathlib.Path.replace
        unlink = pathlib.Path.unlink

        def write_half(path: pathlib.Path, data: bytes) -> int:
            if self.is_time():
                write(path, data[: len(data) // 2])
                raise Killed
            return write(path, data)

        def rename(path: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
            if self.is_time():
                raise Killed
            return replace(path, target)

        def remove(path: pathlib.Path) -> None:
            if self.is_time():
                raise Killed
            unlink(path)

        monkeypatch.setattr(pathlib.Path, "write_bytes", write_half)
        monkeypatch.setattr(pathlib.Path, "replace", rename)
        monkeypatch.setattr(pathlib.Path, "unlink", remove)

    def is_time(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.fixture(scope="module")
def three_bundles(
    tiny_bundle: Bundle, random_arrays: Callable[..., Arrays]
) -> list[Bundle]:
    """Three bundles of one encoder, as a training saves them."""
    layers = tiny_bundle.decoder_layers
    return [
        Bundle.create(
            tiny_bundle.encoder_layers,
            tiny_bundle.encoder,
            layers,
            random_arrays(layers, seed=seed),
            about={"step": seed},
        )
        for seed in range(3)
    ]


def save_and_die(bundle: Bundle, folder: pathlib.Path, steps: int) -> bool:
    """Return whether the saving was killed, after so many steps."""
    with pytest.MonkeyPatch.context() as patch:
        Killer(patch, steps)
        try:
            bundle.save(folder)
        except Killed:
            return True
    return False


def test_killed_save_leaves_the_old_or_the_new_bundle(
    three_bundles: list[Bundle], tmp_path: pathlib.Path
) -> None:
    old, new, newest = three_bundles
    seen = []
    for steps in range(100):
        folder = tmp_path / str(steps)
        old.save(folder)
        (folder / "notes.txt").write_text("mine")
        killed = save_and_die(new, folder, steps)
        seen.append(load_bundle(str(folder)).bundle_id)
        # Whatever was left: the next save, killed itself or not, ends well.
        again = save_and_die(newest, folder, steps)
        assert load_bundle(str(folder)).bundle_id in (seen[-1], newest.bundle_id)
        newest.save(folder)
        assert load_bundle(str(folder)).bundle_id == newest.bundle_id
        names = {"bundle.json", "decoder.npz", "encoder.npz", "notes.txt"}
        assert {path.name for path in folder.iterdir()} == names
        if not killed and not again:
            break
    # Three files written and renamed, two more renamed to their names.
    assert steps >= 8
    switch = seen.index(new.bundle_id)
    assert seen == [old.bundle_id] * switch + [new.bundle_id] * (len(seen) - switch)
    assert 0 < switch < steps


def test_killed_first_save_leaves_a_whole_bundle_or_none(
    three_bundles: list[Bundle], tmp_path: pathlib.Path
) -> None:
    bundle, *_ = three_bundles
    whole = 0
    for steps in range(8):
        folder = tmp_path / str(steps)
        assert save_and_die(bundle, folder, steps)
        if (folder / "bundle.json").exists():
            assert load_bundle(str(folder)).bundle_id == bundle.bundle_id
            whole += 1
        else:
            with pytest.raises(BundleError, match="There is no bundle"):
                load_bundle(str(folder))
    assert whole == 2


def test_bundle_that_is_replaced_while_it_is_read_is_the_new_one(
    three_bundles: list[Bundle], tmp_path: pathlib.Path
) -> None:
    old, new, _ = three_bundles
    old.save(tmp_path)

    def read(path: str) -> bytes:
        data = read_local(path)
        if path.endswith("bundle.json"):
            new.save(tmp_path)
        return data

    assert load_bundle(str(tmp_path), read).bundle_id == new.bundle_id


def test_a_bundle_half_copied_is_refused(
    three_bundles: list[Bundle], tmp_path: pathlib.Path
) -> None:
    """What a bucket may show: files of two bundles, and none under another name."""
    old, new, _ = three_bundles
    old.save(tmp_path)
    (tmp_path / "bundle.json").write_bytes(canonical_json(new.description))
    with pytest.raises(BundleError, match=r"decoder\.npz is damaged"):
        load_bundle(str(tmp_path))
