"""Files that are known by their first bytes and are not read: what to do with each."""

import re
from typing import Final

from transforms.elements import ImageError, Reason

_DEVELOP: Final = "Develop it, and give the JPEG, PNG or TIFF"
_EXPORT: Final = "Export it as PNG or JPEG"
_FRAMES: Final = "Take the frames that are wanted out of it, as PNG or JPEG"
_RENDER: Final = "Render it as PNG in the size that is wanted"
_UNPACK: Final = "Unpack it, or give it a name that ends in .zip"
_EXTRA: Final = (
    "Run: pip install 'stylebeam[formats]', or save it as JPEG. That extra brings "
    "libraries under the GPL"
)

# (first bytes, what it is, what to do). The first row that fits counts.
_PICTURES: Final = (
    (rb".{4}ftyp(?:hei[cmsx]|hev[cmsx]|mif[12]|msf1|miaf)", "HEIC photograph", _EXTRA),
    (rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL picture", _EXTRA),
    (rb".{4}ftypcrx ", "camera raw file (Canon CR3)", _DEVELOP),
    (rb"II\*\0.{4}CR", "camera raw file (Canon CR2)", _DEVELOP),
    (rb"(?:II\*\0|MM\0\*).{4}(?:IIII|MMMM)", "camera raw file (Phase One)", _DEVELOP),
    (rb"II.{4}HEAPCCDR", "camera raw file (Canon CRW)", _DEVELOP),
    (rb"FUJIFILMCCD-RAW", "camera raw file (Fujifilm RAF)", _DEVELOP),
    (rb"IIR[OS]|MMOR", "camera raw file (Olympus ORF)", _DEVELOP),
    (rb"IIU\0", "camera raw file (Panasonic RW2)", _DEVELOP),
    (rb"FOVb", "camera raw file (Sigma X3F)", _DEVELOP),
    (rb"\0MRM", "camera raw file (Minolta MRW)", _DEVELOP),
    (rb"MM\0\+", "BigTIFF in big-endian order", _EXPORT),
    (rb"II\xbc[\0\x01]", "JPEG XR picture", _EXPORT),
    (
        rb".{4}ftyp|.{4}(?:moov|mdat|wide|skip|pnot)|\x1aE\xdf\xa3|RIFF.{4}AVI |FLV\x01"
        rb"|\0\0\x01[\xb3\xba]|OggS|0&\xb2u\x8ef\xcf\x11|G.{187}G.{187}G",
        "video or sound file",
        _FRAMES,
    ),
    (rb"%PDF-", "PDF document", _RENDER),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "PostScript (EPS) document", _RENDER),
    (rb"8BPS\0\x02", "large Photoshop document (PSB)", _EXPORT),
    (rb"gimp xcf", "GIMP document (XCF)", _EXPORT),
    (rb"\0\0[\x01\x02]\0[^\0]\0", "icon of several sizes (ICO)", _EXPORT),
    (rb"icns", "icon of several sizes (ICNS)", _EXPORT),
    (rb"\x76\x2f\x31\x01", "OpenEXR picture", _EXPORT),
    (rb"#\?R(?:ADIANCE|GBE)", "Radiance HDR picture", _EXPORT),
    (rb"DDS ", "DirectDraw picture (DDS)", _EXPORT),
    (rb"qoif", "QOI picture", _EXPORT),
    (rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF", "Windows metafile", _EXPORT),
    (rb".{128}DICM", "medical picture (DICOM)", _EXPORT),
    (rb"\x89HDF|SIMPLE  =", "scientific data file (HDF5, FITS)", _EXPORT),
)
_NO_PICTURES: Final = (
    (
        rb"PK\x03\x04",
        "zip archive or office document",
        "Give an archive a name that ends in .zip, or unpack it",
    ),
    (
        rb"Rar!|7z\xbc\xaf|\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd|.{257}ustar",
        "archive or compressed file",
        "Unpack it",
    ),
    (
        rb"version https://git-lfs",
        "Git LFS pointer in place of the file",
        "Run: git lfs pull",
    ),
)
_SIGNATURES: Final = tuple(
    (re.compile(rx, re.DOTALL), reason, name, advice)
    for rows, reason in (
        (_PICTURES, Reason.UNSUPPORTED),
        (_NO_PICTURES, Reason.NOT_AN_IMAGE),
    )
    for rx, name, advice in rows
)

# Text of a page or drawing: after a mark of its encoding, blanks and comments.
_MARKUP: Final = re.compile(r"\s*<")
_SVG: Final = re.compile(r"<(?:\w+:)?svg[\s>]", re.IGNORECASE)
_HTML: Final = re.compile(r"<!doctype\s+html|<html[\s>]", re.IGNORECASE)
_HEAD: Final = 8192


def refuse_unknown(data: bytes) -> ImageError:
    """Return why a file that no decoder claims is refused, and what to do with it.

    The message holds none of the file's bytes: the file may have been named by mistake
    and be secret.

    >>> refuse_unknown(b"%PDF-1.7").message
    'PDF document, which is not read. Render it as PNG in the size that is wanted'
    """
    for signature, reason, name, advice in _SIGNATURES:
        if signature.match(data):
            return ImageError(reason, f"{name}, which is not read. {advice}")
    text = _text(data[:_HEAD])
    if _MARKUP.match(text):
        if _HTML.search(text) and not _starts_with_svg(text):
            return ImageError(
                Reason.NOT_AN_IMAGE,
                "a web page (HTML), perhaps the error of a download. Fetch it again",
            )
        if _SVG.search(text):
            return ImageError(
                Reason.UNSUPPORTED, f"SVG drawing, which is not read. {_RENDER}"
            )
    return ImageError(
        Reason.NOT_AN_IMAGE,
        f"{len(data)} bytes that begin as no known format of pictures",
    )


def _starts_with_svg(text: str) -> bool:
    found, page = _SVG.search(text), _HTML.search(text)
    return bool(found and page and found.start() < page.start())


def _text(data: bytes) -> str:
    """Return bytes as text, UTF-16 by its mark."""
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return data.decode(encoding, "replace")
