"""The bundle: an encoder and the decoder that was trained for it, in one folder.

`bundle.json` describes both networks layer by layer, where they came from, and the
sha256 of the two weight files beside it. Nothing here needs TensorFlow.
"""

import contextlib
import dataclasses
import errno
import functools
import hashlib
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from model.architecture import Architecture
from model.config import ConvSpec, canonical_json, read_json
from model.npz import MAX_BYTES, Arrays, read_npz, write_npz

# Version 1 is the paper's network, AdaIN on the last layer alone; 2 any of the family.
FORMAT_VERSION: Final = 2

# The bundles of the package by name: the best one, and the network of the paper.
PACKAGED: Final = {
    name: str(pathlib.Path(__file__).parent / "pretrained" / name)
    for name in ("default", "paper")
}

# Whose encoder measures every bundle: VGG-16, so that figures can be compared whatever
# the default is.
RULER_BUNDLE: Final = "paper"

# Of bundle.json: thousands of layers.
_MAX_DESCRIPTION: Final = 1 << 24

_PARTS: Final = ("encoder", "decoder")
_DTYPES: Final = (np.float16, np.float32)


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
        """Describe and seal the two networks of the paper: AdaIN on the last layer.

        Args:
            encoder_layers: The encoder's convolutions, RGB to features.
            encoder: As `seal`.
            decoder_layers: The decoder's convolutions, features to RGB.
            decoder: As `seal`.
            about: As `seal`.

        Raises:
            BundleError: As `seal`, or the networks do not fit each other.
        """
        try:
            network = Architecture(tuple(encoder_layers), tuple(decoder_layers))
        except ValueError as error:
            raise BundleError(str(error)) from error
        return cls.seal(network, encoder, decoder, about)

    @classmethod
    def seal(
        cls,
        network: Architecture,
        encoder: Arrays,
        decoder: Arrays,
        about: Mapping[str, Any],
    ) -> "Bundle":
        """Describe and seal the networks of a family member.

        Args:
            network: What they are made of. The paper's becomes format version 1, any
                other version 2.
            encoder: Weights of the encoder and of the taps' projections,
                `<layer>/kernel` and `<layer>/bias`, stored in the dtype they have:
                float32 or float16. More are left out.
            decoder: Weights of the decoder and of the skips.
            about: What else bundle.json says: training, lineage, license, metrics.

        Raises:
            BundleError: The arrays do not fit the layers, or a weight is not a finite
                float16 or float32.
        """
        try:
            files = {
                "encoder.npz": write_npz(network.encoder_convolutions, encoder),
                "decoder.npz": write_npz(network.decoder_convolutions, decoder),
            }
        except ValueError as error:
            raise BundleError(str(error)) from error
        description = {
            **about,
            "format_version": 1 if network.one_tap else FORMAT_VERSION,
            "encoder": network.encoder_json(),
            "decoder": network.decoder_json(),
            "files": {name: _seal(data) for name, data in files.items()},
        }
        bundle = cls(description, files)
        _check_arrays(bundle)
        return bundle

    @functools.cached_property
    def bundle_id(self) -> str:
        """First 12 hexadecimal digits of the sha256 of the canonical bundle.json."""
        return hashlib.sha256(canonical_json(self.description)).hexdigest()[:12]

    @property
    def encoder_sha256(self) -> str:
        """Sha256 of the stored encoder weights."""
        return str(self.description["files"]["encoder.npz"]["sha256"])

    @functools.cached_property
    def style_code(self) -> Mapping[str, str]:
        """What the statistics of a style are bound to, as text.

        The weights; with several taps or projections also which taps, in their order,
        and the sha256 of what the encoder is made of: equal weights may be read in
        other ways.
        """
        code = {"encoder_sha256": self.encoder_sha256}
        if not self.architecture.one_tap:
            encoder = canonical_json(self.description["encoder"])
            code["taps"] = " ".join(tap.layer for tap in self.architecture.taps)
            code["network_sha256"] = hashlib.sha256(encoder).hexdigest()
        return code

    @functools.cached_property
    def architecture(self) -> Architecture:
        """What the networks are made of.

        Raises:
            ValueError: The parts do not fit one another.
        """
        return Architecture.from_json(
            self.description["encoder"], self.description["decoder"]
        )

    @property
    def encoder_layers(self) -> tuple[ConvSpec, ...]:
        """The encoder's convolutions, RGB to features."""
        return self.architecture.encoder_layers

    @property
    def decoder_layers(self) -> tuple[ConvSpec, ...]:
        """The decoder's convolutions, features to RGB."""
        return self.architecture.decoder_layers

    @property
    def encoder(self) -> Arrays:
        """The encoder's weights, `<layer>/kernel` and `<layer>/bias`, as stored."""
        return read_npz(self.files["encoder.npz"])

    @property
    def decoder(self) -> Arrays:
        """The decoder's weights by name, read anew each time."""
        return read_npz(self.files["decoder.npz"])

    def save(self, folder: str | pathlib.Path) -> None:
        """Write the bundle into a folder; other files there are left alone.

        A process that is killed meanwhile leaves the bundle before or the new one,
        whole: the arrays are written beside those that are there, under names that hold
        their hash; then bundle.json is replaced, at once; then the arrays get their
        names, and `load_bundle` looks under both. This needs a file system that renames
        at once; `writes` is for one that does not, such as a bucket.
        """
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        pending = {name: folder / place for name, place in self._pending.items()}
        for name, path in pending.items():
            _replace(path, self.files[name])
        _replace(folder / "bundle.json", canonical_json(self.description))
        for name, path in pending.items():
            path.replace(folder / name)
        # What killed processes left.
        for name in ("bundle.json", *pending):
            for path in (*folder.glob(f".{name}-*"), *folder.glob(f".{name}.tmp")):
                path.unlink()

    def writes(self) -> Iterator[tuple[str, bytes | None]]:
        """Yield what to write in turn, each file whole, so that no reader is refused.

        After each step `load_bundle` finds the bundle that was there, or this one.

        Yields:
            Name in the folder and bytes; None for a file that is no longer needed.
        """
        for name, place in self._pending.items():
            yield place, self.files[name]
        yield "bundle.json", canonical_json(self.description)
        yield from self.files.items()
        for place in self._pending.values():
            yield place, None

    @property
    def _pending(self) -> dict[str, str]:
        seals = self.description["files"]
        return {name: _pending_name(name, seals[name]["sha256"]) for name in seals}


def _pending_name(name: str, sha256: str) -> str:
    """Return where the bytes of a file are until they have its name."""
    return f".{name}-{sha256[:12]}"


def _replace(path: pathlib.Path, data: bytes) -> None:
    # A name without the hash: a half-written file is overwritten by the next try.
    temporary = path.with_name(f".{path.name.lstrip('.').partition('-')[0]}.tmp")
    temporary.write_bytes(data)
    temporary.replace(path)


def read_local(path: str) -> bytes:
    """Return the bytes of a local file.

    Raises:
        OSError: It cannot be read, or is larger than any part of a bundle.
    """
    file = pathlib.Path(path)
    size = file.stat().st_size
    if size > MAX_BYTES:
        raise OSError(errno.EFBIG, f"{size} bytes, at most {MAX_BYTES} are read", path)
    return file.read_bytes()


def load_bundle(
    bundle: str = "default", read: Callable[[str], bytes] = read_local
) -> Bundle:
    """Load and check a bundle.

    Args:
        bundle: `default` or `paper`, which every process has in its own installation,
            or the folder of another one; `./default` is a folder.
        read: Returns the bytes of a file; another one reads from a bucket.

    Raises:
        BundleError: A file is missing or damaged, or the format version or a layer is
            unknown.
    """
    root = PACKAGED.get(bundle, bundle).rstrip("/")
    where = f"bundle {bundle!r}"
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
        if len(sealed) > _MAX_DESCRIPTION:
            raise ValueError(
                f"{len(sealed)} bytes, at most {_MAX_DESCRIPTION} are read"
            )
        description = read_json(sealed)
        version = description["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"bundle.json of {where} is damaged: {error}") from error
    if version not in (1, FORMAT_VERSION):
        raise BundleError(
            f"The {where} has format_version {version!r}, this stylebeam reads 1 and "
            f"{FORMAT_VERSION}. Update stylebeam or export the bundle again."
        )
    try:
        _check_version(version, description)
        files = {
            f"{part}.npz": _read_sealed(root, f"{part}.npz", description["files"], read)
            for part in _PARTS
        }
        bundle = Bundle(description, files)
        _check_arrays(bundle)
    except KeyError as error:
        raise BundleError(f"bundle.json of {where} lacks {error}.") from error
    except TypeError as error:
        raise BundleError(f"bundle.json of {where} is damaged: {error}") from error
    except ValueError as error:
        raise BundleError(f"The {where} cannot be used: {error}") from error
    return bundle


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


def _check_version(version: int, description: Mapping[str, Any]) -> None:
    """Check that the levels of a network are said in version 2 and only there."""
    for part in _PARTS:
        if not isinstance(description[part], Mapping):
            raise TypeError(f"{part} is no object")
    levels = [
        name
        for part, names in (
            ("encoder", ("taps", "input_divisor")),
            ("decoder", ("skips",)),
        )
        for name in names
        if (name in description[part]) != (version == FORMAT_VERSION)
    ]
    if levels:
        there = "lacks" if version == FORMAT_VERSION else "must not have"
        raise BundleError(f"Version {version} {there} {', '.join(levels)}.")


def _check_arrays(bundle: Bundle) -> None:
    """Check that the arrays fit the layers."""
    network = bundle.architecture
    for part, layers in (
        ("encoder", network.encoder_convolutions),
        ("decoder", network.decoder_convolutions),
    ):
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
