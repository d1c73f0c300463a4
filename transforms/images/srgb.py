"""What colour a decoded file means: any Pillow mode, alpha or profile -> 8-bit sRGB."""

import functools
import io
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, ImageFile, TiffImagePlugin

from transforms.elements import ImageError, Reason
from transforms.images.metadata import MAX_PROFILE_BYTES

# Larger profiles are parsed anew for each picture: a cache of them would be large.
_CACHED_BYTES: Final = 1 << 20

_WHITE = (255, 255, 255)


def to_rgb(image: ImageFile.ImageFile) -> Image.Image:
    """Return a loaded image as Pillow's mode RGB, in sRGB, on white.

    Colours are first converted by the embedded ICC profile, where it is valid, fits
    the kind of pixels and has at most `MAX_PROFILE_BYTES`, then composited: white is
    the white of sRGB.

    Raises:
        ImageError: corrupt: the image holds values that are not finite.
    """
    color: Image.Image = image
    alpha: Image.Image | None = None
    transparent = image.info.get("transparency")
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        color, alpha = _scale_to_8_bit(image, transparent)
    elif image.mode in ("La", "PA", "RGBa") or (
        transparent is not None and image.mode in ("1", "L", "P", "RGB")
    ):
        color = image.convert("LA" if image.mode in ("La", "1", "L") else "RGBA")
    if color.mode in ("LA", "RGBA"):
        alpha = color.getchannel("A")
        # `convert` drops the alpha and leaves the stored colours.
        color = color.convert("L" if color.mode == "LA" else "RGB")
    if color.mode == "1":
        color = color.convert("L")
    elif color.mode not in ("L", "RGB", "CMYK", "LAB"):
        color = color.convert("RGB")  # P, RGBX, YCbCr, HSV
    color = _to_srgb(color, image.info.get("icc_profile"))
    if alpha is None:
        return color
    white = Image.new("RGB", color.size, _WHITE)
    white.paste(color, mask=alpha)
    return white


def is_srgb(profile: object, mode: str) -> bool:
    """Return whether L or RGB pixels with this ICC profile mean the same without it.

    That is so where there is no profile, where it cannot be read, or where it changes
    nothing visible.
    """
    return _profile_to_srgb(profile, mode) is None


def _scale_to_8_bit(
    image: ImageFile.ImageFile, transparent: int | None
) -> tuple[Image.Image, Image.Image | None]:
    """Scale a deep grey image to 8 bits, and its transparent value to an alpha.

    16-bit values are divided by 257, so that 65535 becomes 255. Pillow's mode I holds
    16-bit values too (PGM), mode F may hold [0, 1] (most HDR tools) or [0, 255]; values
    outside those ranges are stretched from their own minimum to their own maximum, the
    one scale left that clips nothing. NaN and infinity have no place on any scale.
    """
    values: npt.NDArray[Any] = np.asarray(image)
    opaque: Image.Image | None = None
    if isinstance(transparent, int):
        opaque = Image.fromarray(np.where(values == transparent, 0, 255).astype("u1"))
    low, high = (0, 65535) if image.mode.startswith("I;16") else _extent(values)
    if low < 0 or high > 65535 or (image.mode == "F" and high > 255):
        span = max(float(high) - float(low), 1e-30)
        scaled = (values.astype("f8") - low) * (255 / span)
    elif image.mode == "F":
        scaled = values * (255.0 if high <= 1 else 1.0)
    else:
        scaled = values / np.float32(257)
    gray = np.rint(scaled).astype("u1")
    if _is_white_zero(image):
        gray = 255 - gray
    return Image.fromarray(gray), opaque


def _extent(values: npt.NDArray[Any]) -> tuple[float, float]:
    """Return the least and the greatest value, all being finite."""
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise ImageError(Reason.CORRUPT, "the image has pixels that are not finite")
    return low, high


def _is_white_zero(image: ImageFile.ImageFile) -> bool:
    """Return whether a 16-bit TIFF counts from white, which Pillow leaves to us."""
    return (
        isinstance(image, TiffImagePlugin.TiffImageFile)
        and image.mode.startswith("I;16")
        and image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0
    )


def _to_srgb(image: Image.Image, profile: object) -> Image.Image:
    """Convert an L, RGB, CMYK or LAB image to sRGB, by its profile where it has one."""
    if image.mode == "LAB":
        transform: ImageCms.ImageCmsTransform | None = _lab_to_srgb()
    else:
        transform = _profile_to_srgb(profile, image.mode)
    if transform is not None:
        try:
            return cast("Image.Image", ImageCms.applyTransform(image, transform))
        except ImageCms.PyCMSError:
            pass  # a profile that only looked valid
    return image if image.mode == "RGB" else image.convert("RGB")


@functools.cache
def _lab_to_srgb() -> ImageCms.ImageCmsTransform:
    """Return the transform for LAB images, whose values need no profile."""
    return ImageCms.buildTransform(
        ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB"
    )


def _profile_to_srgb(profile: object, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform of a profile to sRGB, as `_transform`.

    A TIFF may hold anything in its place.
    """
    if not profile or not isinstance(profile, bytes):
        return None
    if len(profile) > MAX_PROFILE_BYTES:
        return None
    build = _cached_transform if len(profile) <= _CACHED_BYTES else _transform
    return build(profile, mode)


@functools.lru_cache(maxsize=16)  # a collection has few profiles
def _cached_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    return _transform(profile, mode)


def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform of a profile to sRGB.

    The result is None where there is nothing to do: the profile cannot be read, is for
    another kind of pixels, or is sRGB already (no colour moves by more than two levels;
    the sRGB profiles in the wild differ by their rounding).
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = {"L": "GRAY", "RGB": "RGB ", "CMYK": "CMYK"}[mode]
        if source.profile.xcolor_space != space:
            return None
        transform = ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), mode, "RGB"
        )
    except (OSError, ImageCms.PyCMSError, UnicodeDecodeError):
        return None  # UnicodeDecodeError: a colour space that is not ASCII
    if mode == "RGB":
        steps = np.arange(0, 256, 17, dtype="u1")
        probe = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 16, 3)
        moved = ImageCms.applyTransform(Image.fromarray(probe), transform)
        if np.abs(np.asarray(moved, "i2") - probe).max() <= 2:
            return None
    return transform
