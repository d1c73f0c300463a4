"""The bundle: an encoder and the decoder that was trained for it, in one folder.

`bundle.json` describes both networks layer by layer, where they came from, and the
sha256 of the two weight files beside it. Nothing here needs TensorFlow.
"""

import contextlib
import dataclasses
import functools
import hashlib
import io
import itertools
import json
import pathlib
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from model.config import ConvSpec, canonical_json

FORMAT_VERSION: Final = 1

DEFAULT_BUNDLE: Final = str(pathlib.Path(__file__).parent / "pretrained" / "default")

# A network of another range or colour order would need another version.
INPUT_RANGE: Final = "RGB in [0, 1]; the encoder turns it into BGR * 255 - mean"
OUTPUT_RANGE: Final = "RGB in [0, 1], not clipped"

_PARTS: Final = ("encoder", "decoder")
_DTYPES: Final = (np.float16, np.float32)

# What zipfile and NumPy raise on damaged archives beside ValueError; the last one on an
# unknown compression.
_DAMAGE: Final = (
    OSError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
)

Arrays = Mapping[str, npt.NDArray[Any]]


class BundleError(ValueError):
    """A folder is not a whole, undamaged bundle of a known version."""


@dataclasses.dataclass(frozen=True)
class Bundle:
    """An encoder and its decoder, ready to be built; made by `create` or `load_bundle`.

    Attributes:
        description: What `bundle.json` says.
        files: The bytes of `encoder.npz` and `decoder.npz`.
    """

    description: Mapping[str, Any]
    files: Mapping[str, bytes]

    @classmethod
    def create(
        cls,
        encoder_layers: Sequence[ConvSpec],
        encoder: Arrays,
        decoder_layers: Sequence[ConvSpec],
        decoder: Arrays,
        about: Mapping[str, Any],
    ) -> "Bundle":
        """Describe and seal two networks.

        Args:
            encoder_layers: The encoder's convolutions, RGB to features.
            encoder: Its weights, `<layer>/kernel` and `<layer>/bias`, stored in the
                dtype they have: float32 or float16. More are left out.
            decoder_layers: The decoder's convolutions, features to RGB.
            decoder: Its weights.
            about: What else bundle.json says: training, lineage, license, metrics.

        Raises:
            BundleError: The networks do not fit each other, or the arrays the layers,
                or a weight is not a finite float16 or float32.
        """
        files = {
            "encoder.npz": _npz(encoder_layers, encoder),
            "decoder.npz": _npz(decoder_layers, decoder),
        }
        description = {
            **about,
            "format_version": FORMAT_VERSION,
            "encoder": {
                "input_range": INPUT_RANGE,
                "layers": [layer.to_json() for layer in encoder_layers],
            },
            "decoder": {
                "output_range": OUTPUT_RANGE,
                "layers": [layer.to_json() for layer in decoder_layers],
            },
            "files": {name: _seal(data) for name, data in files.items()},
        }
        bundle = cls(description, files)
        _check_networks(bundle)
        return bundle

    @functools.cached_property
    def bundle_id(self) -> str:
        """First 12 hexadecimal digits of the sha256 of the canonical bundle.json."""
        return hashlib.sha256(canonical_json(self.description)).hexdigest()[:12]

    @property
    def encoder_sha256(self) -> str:
        """Sha256 of the stored encoder weights: what a style bank is bound to."""
        return str(self.description["files"]["encoder.npz"]["sha256"])

    @functools.cached_property
    def encoder_layers(self) -> tuple[ConvSpec, ...]:
        """The encoder's convolutions, RGB to features."""
        return self._layers("encoder")

    @functools.cached_property
    def decoder_layers(self) -> tuple[ConvSpec, ...]:
        """The decoder's convolutions, features to RGB."""
        return self._layers("decoder")

    @property
    def encoder(self) -> Arrays:
        """The encoder's weights, `<layer>/kernel` and `<layer>/bias`, as stored."""
        return read_npz(self.files["encoder.npz"])

    @property
    def decoder(self) -> Arrays:
        """The decoder's weights, likewise."""
        return read_npz(self.files["decoder.npz"])

    def save(self, folder: str | pathlib.Path) -> None:
        """Write the bundle into a folder; other files there are left alone.

        A process that is killed meanwhile leaves the bundle before or the new one,
        whole: the arrays are written beside those that are there, under names that hold
        their hash; then bundle.json is replaced, at once; then the arrays get their
        names, and `load_bundle` looks under both. This needs a file system that renames
        at once. A bucket does not: a bundle that is being copied into one is refused
        until its files fit, since bundle.json has their hashes.
        """
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        pending = {
            name: folder / _pending_name(name, entry["sha256"])
            for name, entry in self.description["files"].items()
        }
        for name, path in pending.items():
            _replace(path, self.files[name])
        _replace(folder / "bundle.json", canonical_json(self.description))
        for name, path in pending.items():
            path.replace(folder / name)
        # What killed processes left.
        for name in ("bundle.json", *pending):
            for path in (*folder.glob(f".{name}-*"), *folder.glob(f".{name}.tmp")):
                path.unlink()

    def _layers(self, part: str) -> tuple[ConvSpec, ...]:
        return tuple(ConvSpec.from_json(v) for v in self.description[part]["layers"])


def _pending_name(name: str, sha256: str) -> str:
    """Return where the bytes of a file are until they have its name."""
    return f".{name}-{sha256[:12]}"


def _replace(path: pathlib.Path, data: bytes) -> None:
    # A name without the hash: a half-written file is overwritten by the next try.
    temporary = path.with_name(f".{path.name.lstrip('.').partition('-')[0]}.tmp")
    temporary.write_bytes(data)
    temporary.replace(path)


def read_local(path: str) -> bytes:
    """Return the bytes of a local file."""
    return pathlib.Path(path).read_bytes()


def load_bundle(
    folder: str | None = None, read: Callable[[str], bytes] = read_local
) -> Bundle:
    """Load and check a bundle.

    Args:
        folder: Where it is; None for the packaged one, wherever this process has it.
        read: Returns the bytes of a file; another one reads from a bucket.

    Raises:
        BundleError: A file is missing or damaged, or the format version or a layer is
            unknown.
    """
    folder = DEFAULT_BUNDLE if folder is None else folder
    root = folder.rstrip("/")
    where = f"bundle {folder!r}"
    try:
        sealed = read(f"{root}/bundle.json")
        while True:
            try:
                return _unseal(sealed, root, where, read)
            except BundleError:
                # Another process may have saved a new one between two files.
                before, sealed = sealed, read(f"{root}/bundle.json")
                if sealed == before:
                    raise
    except OSError as error:
        raise BundleError(
            f"There is no {where}: bundle.json cannot be read ({error}). Give the "
            "folder that `stylebeam export` wrote."
        ) from error


def _unseal(
    sealed: bytes, root: str, where: str, read: Callable[[str], bytes]
) -> Bundle:
    """Return the bundle that a bundle.json seals."""
    try:
        description = json.loads(sealed)
        version = description["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"bundle.json of {where} is damaged: {error}") from error
    if version != FORMAT_VERSION:
        raise BundleError(
            f"The {where} has format_version {version!r}, this stylebeam reads "
            f"{FORMAT_VERSION}. Update stylebeam or export the bundle again."
        )
    try:
        ranges = (
            description["encoder"]["input_range"],
            description["decoder"]["output_range"],
        )
        if ranges != (INPUT_RANGE, OUTPUT_RANGE):
            raise BundleError(f"The ranges are unknown to this stylebeam: {ranges}")
        files = {
            f"{part}.npz": _read_sealed(root, f"{part}.npz", description["files"], read)
            for part in _PARTS
        }
        bundle = Bundle(description, files)
        _check_networks(bundle)
    except KeyError as error:
        raise BundleError(f"bundle.json of {where} lacks {error}.") from error
    except TypeError as error:
        raise BundleError(f"bundle.json of {where} is damaged: {error}") from error
    except ValueError as error:
        raise BundleError(f"The {where} cannot be used: {error}") from error
    return bundle


def read_npz(data: bytes) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of an .npz file; pickled objects are refused.

    Raises:
        ValueError: The bytes are not a whole .npz of plain arrays.
    """
    # np.load would take a bare .npy too, and calls anything else a pickle.
    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise ValueError("not an .npz file, or only a part of one")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except _DAMAGE as error:
        raise ValueError(f"a damaged .npz file: {error}") from error
    strange = [n for n, array in arrays.items() if not isinstance(array, np.ndarray)]
    if strange:
        raise ValueError(f"members that are no arrays: {', '.join(strange)}")
    return arrays


def _read_sealed(
    root: str,
    name: str,
    files: Mapping[str, Mapping[str, Any]],
    read: Callable[[str], bytes],
) -> bytes:
    expected = files[name]
    for place in (name, _pending_name(name, expected["sha256"])):
        with contextlib.suppress(OSError):
            data = read(f"{root}/{place}")
            if _seal(data) == expected:
                return data
    # Once more, for its error: a process that saves may have just renamed it.
    try:
        data = read(f"{root}/{name}")
    except OSError as error:
        raise BundleError(f"{name} cannot be read ({error}).") from error
    found = _seal(data)
    if found != expected:
        raise BundleError(
            f"{name} is damaged: found {found['size']} bytes with sha256 "
            f"{found['sha256']}, bundle.json says {expected['size']} bytes with "
            f"{expected['sha256']}. Copy the bundle again."
        )
    return data


def _seal(data: bytes) -> dict[str, Any]:
    """Return what bundle.json says of the bytes of a file."""
    return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}


def _check_networks(bundle: Bundle) -> None:
    """Check that the layers chain, the arrays fit them, and the decoder the encoder."""
    for part in _PARTS:
        layers = getattr(bundle, f"{part}_layers")
        _check_chain(part, layers)
        try:
            arrays = getattr(bundle, part)
        except ValueError as error:
            raise BundleError(f"{part}.npz cannot be read: {error}") from error
        expected: dict[str, tuple[int, ...]] = {}
        for layer in layers:
            expected[f"{layer.name}/kernel"] = layer.kernel_shape
            expected[f"{layer.name}/bias"] = (layer.out_channels,)
        found = {name: array.shape for name, array in arrays.items()}
        wrong = [n for n in {**expected, **found} if expected.get(n) != found.get(n)]
        if wrong:
            raise BundleError(
                f"The arrays of the {part} do not fit its layers: {', '.join(wrong)}."
            )
        unusable = [
            name
            for name, array in arrays.items()
            if array.dtype not in _DTYPES or not np.isfinite(array).all()
        ]
        if unusable:
            raise BundleError(
                f"The arrays of the {part} must be finite float16 or float32: "
                f"{', '.join(unusable)}."
            )
    features = bundle.encoder_layers[-1].out_channels
    taken = bundle.decoder_layers[0].in_channels
    if taken != features:
        raise BundleError(
            f"The decoder takes {taken} channels, but the encoder gives {features}."
        )
    pools = sum(layer.pool_before for layer in bundle.encoder_layers)
    doublings = sum(layer.upsample_before for layer in bundle.decoder_layers)
    if pools != doublings:
        raise BundleError(
            f"The encoder halves the picture {pools} times, but the decoder doubles it "
            f"{doublings} times."
        )


def _check_chain(part: str, layers: Sequence[ConvSpec]) -> None:
    if not layers:
        raise BundleError(f"The {part} has no layers.")
    names = [layer.name for layer in layers]
    if len(set(names)) < len(names):
        raise BundleError(f"Layer names of the {part} repeat: {', '.join(names)}.")
    for before, layer in itertools.pairwise(layers):
        if layer.in_channels != before.out_channels:
            raise BundleError(
                f"Layer {layer.name} of the {part} takes {layer.in_channels} "
                f"channels, but {before.name} gives {before.out_channels}."
            )
    picture = layers[0].in_channels if part == "encoder" else layers[-1].out_channels
    if picture != 3:
        raise BundleError(
            f"The {part} must have the 3 channels of RGB at the picture's end. "
            f"Received: {picture}"
        )
    for layer in layers:
        if layer.upsample_before if part == "encoder" else layer.pool_before:
            raise BundleError(
                f"Only an encoder pools and only a decoder upsamples, "
                f"but {layer.name} of the {part} does the other."
            )


def _npz(layers: Sequence[ConvSpec], arrays: Arrays) -> bytes:
    """Return the arrays as .npz bytes; in the order of the layers, so always the same.

    NumPy dates the members 1980-01-01, so that no clock gets in.
    """
    names = [f"{layer.name}/{part}" for layer in layers for part in ("kernel", "bias")]
    missing = [name for name in names if name not in arrays]
    if missing:
        raise BundleError(f"The weights lack the arrays {', '.join(missing)}.")
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{name: arrays[name] for name in names})
    return buffer.getvalue()
