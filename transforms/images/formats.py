"""The formats that are read: from the bytes of a file to a picture of Pillow.

A file is judged by its content, never by its name, and its pixels are read whole or
refused with a reason. What is beside the pixels never is a reason, save for what says
that they are a preview of another picture.
"""

import io
import re
import struct
import zlib
from typing import Final

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    PsdImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from transforms.elements import ImageError, Reason
from transforms.images.extra_formats import open_extra
from transforms.images.limits import MAX_PIXELS
from transforms.images.metadata import exif_orientation, plain_file
from transforms.images.other_formats import refuse_unknown
from transforms.images.tiff_pages import TiffPage, picture_page

ORIENTATION: Final = "orientation"
"""Where `open_image` puts the EXIF orientation, 1 to 8, in the `info` of an image."""

# Where previews of the picture were passed over.
_PREVIEWS: Final = "; the picture is the TIFF's number {}, those before it are previews"

# Resource of a Photoshop document: four bytes of version, then whether the picture of
# all layers was saved.
_PSD_VERSION_INFO: Final = 1057

_ORIENTATION_TAG: Final = 0x0112

# Tags that only tell about the picture, save for the orientation, which we apply.
_TIFF_TOLD: Final = (
    _ORIENTATION_TAG,
    TiffImagePlugin.X_RESOLUTION,
    TiffImagePlugin.Y_RESOLUTION,
    TiffImagePlugin.RESOLUTION_UNIT,
)

# Types of TIFF that are bytes: BYTE and UNDEFINED.
_BYTES: Final = (1, 7)

# What Pillow's file classes raise on hostile bytes, caught around their calls alone.
# AttributeError, NameError, ImportError and AssertionError are bugs and not caught.
_BROKEN: Final = (
    OSError,  # Pillow's own word for most faults
    SyntaxError,  # "not identified by this driver", broken PNG chunks
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    NotImplementedError,
    RuntimeError,  # libavif
    struct.error,
    zlib.error,
)


class JpegFile(JpegImagePlugin.JpegImageFile):
    """A JPEG, or the first picture of an MPO, whose EXIF is left alone.

    Pillow parses it for the resolution, which nobody needs here, and warns about each
    fault.
    """

    def _read_dpi_from_exif(self) -> None:
        """Return at once: the resolution is not needed."""


class _TiffFile(TiffImagePlugin.TiffImageFile):
    """The picture of a TIFF that is no preview, as it is stored.

    Pillow takes the first one, parses its EXIF, and turns it.
    """

    orientation = 1

    def _seek(self, frame: int) -> None:
        if not self._frame_pos and self.fp is not None:
            page = picture_page(self.fp.getvalue())  # type: ignore[attr-defined]
            if page is not None:
                # As Pillow does in `get_child_images`.
                self._frame_pos = [page.offset]
                self.is_animated = False
        super()._seek(frame)

    def _setup(self) -> None:
        try:
            value = self.tag_v2.get(_ORIENTATION_TAG, 1)
        except _BROKEN:
            value = 1
        if value in range(2, 9):
            self.orientation = value
        for tag in _TIFF_TOLD:
            if tag in self.tag_v2:
                del self.tag_v2[tag]
        # Pillow takes a profile of any type, and warns of the wrong ones.
        profile = TiffImagePlugin.ICCPROFILE
        if self.tag_v2.tagtype.get(profile) not in _BYTES and profile in self.tag_v2:
            del self.tag_v2[profile]
        super()._setup()

    def load_end(self) -> None:
        """Return at once: the EXIF is not needed."""


# Every picture format that Pillow decodes in process and that has a true signature.
# Left out: EPS and WMF (run Ghostscript or GDI), ICO and ICNS (hold a second image
# file, whose size the header does not tell), TGA, PCX and their like (no signature: a
# text file may pass), QOI (decoded in pure Python) and stubs without a decoder. The
# file classes are called directly because `Image.open` warns about large images
# through the process-wide `warnings`, which no thread can silence for itself alone.
_FORMATS: Final[tuple[tuple[bytes, type[ImageFile.ImageFile]], ...]] = (
    (rb"\xff\xd8\xff", JpegFile),
    (rb"\x89PNG\r\n\x1a\n", PngImagePlugin.PngImageFile),
    (rb"RIFF.{4}WEBP", WebPImagePlugin.WebPImageFile),
    (rb"GIF8[79]a", GifImagePlugin.GifImageFile),
    (rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", BmpImagePlugin.BmpImageFile),
    # Pillow 12 knows no BigTIFF in big-endian order.
    (rb"(?:II[*+]\0|MM\0\*)(?!.{4}(?:CR|IIII|MMMM))", _TiffFile),
    (rb".{4}ftyp(?:.{4}){0,14}?avi[fs]", AvifImagePlugin.AvifImageFile),
    (
        rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
        Jpeg2KImagePlugin.Jpeg2KImageFile,
    ),
    (rb"P[1-6Ff]\s", PpmImagePlugin.PpmImageFile),
    (rb"8BPS\0\x01", PsdImagePlugin.PsdImageFile),
)
_SIGNATURES: Final = tuple((re.compile(rx, re.DOTALL), kind) for rx, kind in _FORMATS)


def open_image(data: bytes, max_pixels: int = MAX_PIXELS) -> ImageFile.ImageFile:
    """Read the header of a file of a known format; decodes no pixels.

    What is beside the pixels is left out, save for the colour profile and the
    orientation, `info["icc_profile"]` and `info[ORIENTATION]`.

    Args:
        data: The whole file.
        max_pixels: Most pixels of a format whose header cannot be read alone.

    Raises:
        ImageError: The file cannot be used; the reasons are those of `decode_image`
            without empty_file.
    """
    kind = next((kind for rx, kind in _SIGNATURES if rx.match(data)), None)
    plain = plain_file(data)
    stream = io.BytesIO(plain.data)
    try:
        image = open_extra(plain.data, max_pixels) if kind is None else kind(stream, "")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(Reason.TOO_MANY_PIXELS, str(error)) from error
    except _BROKEN as error:
        # A header that was read to the last byte of the file and needed more.
        at_end = stream.tell() >= len(plain.data)
        starved = at_end and "not identified" not in str(error)
        refused = _broken(error, data, truncated=starved)
        if kind is _TiffFile:
            refused = _tiff_error(refused, picture_page(data))
        # The format's own word for "not mine": only the signature was right.
        elif refused.reason is Reason.CORRUPT and isinstance(error, SyntaxError):
            refused = ImageError(Reason.NOT_AN_IMAGE, refused.message)
        raise refused from error
    if image is None:
        raise refuse_unknown(data)
    if isinstance(image, JpegFile | PngImagePlugin.PngImageFile):
        image.info["icc_profile"] = plain.profile
        image.info[ORIENTATION] = plain.orientation
    elif isinstance(image, _TiffFile):
        image.info[ORIENTATION] = image.orientation
    else:
        exif = image.info.get("exif")
        image.info.setdefault(ORIENTATION, exif_orientation(exif))
    if isinstance(image, PsdImagePlugin.PsdImageFile):
        _check_psd(image)
    return image


def load_pixels(image: ImageFile.ImageFile, data: bytes) -> None:
    """Decode the pixels of what `open_image` returned.

    Args:
        image: The opened image.
        data: The whole file.

    Raises:
        ImageError: truncated, corrupt or too_many_pixels.
    """
    if isinstance(image, PngImagePlugin.PngImageFile):
        _check_png(data)
    size = image.size
    try:
        image.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(Reason.TOO_MANY_PIXELS, str(error)) from error
    except _BROKEN as error:
        refused = _broken(error, data, truncated=isinstance(error, EOFError))
        if isinstance(image, _TiffFile):
            refused = _tiff_error(refused, picture_page(data))
        raise refused from error
    if image.size != size:
        raise ImageError(
            Reason.CORRUPT,
            f"its header says {size[0]}x{size[1]}, its pixels are "
            f"{image.size[0]}x{image.size[1]}",
        )


def _tiff_error(error: ImageError, page: TiffPage | None) -> ImageError:
    """Return the error of a TIFF, with its reason for another picture than the first.

    A TIFF may hold its pixels in any way at all, and Pillow knows the common ones.
    """
    reason = error.reason
    if reason is Reason.CORRUPT and page is None:
        reason = Reason.NOT_AN_IMAGE
    elif reason is Reason.CORRUPT and "unknown" in error.message:
        reason = Reason.UNSUPPORTED
    told = _PREVIEWS.format(page.number) if page and page.number > 1 else ""
    return ImageError(reason, error.message + told)


def _check_psd(image: PsdImagePlugin.PsdImageFile) -> None:
    """Refuse a Photoshop document whose picture of all layers is blank."""
    for number, _, content in image.resources:
        if number == _PSD_VERSION_INFO and content[4:5] == b"\0":
            raise ImageError(
                Reason.UNSUPPORTED,
                "a Photoshop document of layers alone. Save it with Maximize "
                "Compatibility, or as PNG",
            )


def _broken(error: Exception, data: bytes, *, truncated: bool) -> ImageError:
    """Return the error for a file that begins as an image and does not go on as one."""
    text = str(error)
    if (declared := _declared_length(data)) is not None:
        truncated = declared > len(data)
    elif "truncated" in text.lower() or "not enough image data" in text:
        truncated = True
    reason = Reason.TRUNCATED if truncated else Reason.CORRUPT
    return ImageError(reason, f"{type(error).__name__}: {text}")


def _declared_length(data: bytes) -> int | None:
    """Return how long a WebP, AVIF or JPEG 2000 file says it is.

    Their libraries read to the end at once and do not tell a cut file from a bad one.
    """
    if data[:4] == b"RIFF":
        return 8 + int.from_bytes(data[4:8], "little")
    if data[4:8] not in (b"ftyp", b"jP  "):
        return None
    start = 0
    while start + 8 <= len(data):  # boxes: size, type, content
        size = int.from_bytes(data[start : start + 4], "big")
        if size == 1:
            size = int.from_bytes(data[start + 8 : start + 16], "big")
        if size < 8:  # 0: to the end of the file
            return len(data)
        start += size
    return start if start == len(data) else max(start, len(data) + 1)


def _check_png(data: bytes) -> None:
    """Compare the checksums of the pixel data, which Pillow does not.

    Without it a file whose tail is zeros (a full disk, a lost power supply) decodes to
    half a picture and half noise.
    """
    view = memoryview(data)
    start = 8
    while start + 12 <= len(data):
        end = start + 8 + int.from_bytes(view[start : start + 4], "big")
        if data[start + 4 : start + 8] == b"IDAT" and end + 4 <= len(data):
            checksum = int.from_bytes(view[end : end + 4], "big")
            if zlib.crc32(view[start + 4 : end]) != checksum:
                raise ImageError(
                    Reason.CORRUPT, f"wrong checksum of the pixel data at byte {start}"
                )
        start = end + 4
