"""What is known of a picture besides its pixels: captions, label, artist, title.

COCO tells it in an annotation file, WikiArt in its folders and file names.
"""

import csv
import dataclasses
import functools
import io
import json
from collections.abc import Mapping
from typing import Any, Final, Literal

from transforms.elements import ImageRef
from transforms.storage.files import read_file

Kind = Literal["folder", "coco", "wikiart"]

NO_ID: Final = -1


@dataclasses.dataclass(frozen=True, slots=True)
class Annotation:
    """What is known of one picture; every field may be missing.

    Attributes:
        label: Class of the picture, such as the style of a painting; '' when none.
        artist: Who made it, as the file name spells it; '' when none.
        title: What it is called, as the file name spells it; '' when none.
        captions: Sentences about it, in the order of the annotation file.
        coco_id: COCO's id of the image; -1 when none.
    """

    label: str = ""
    artist: str = ""
    title: str = ""
    captions: tuple[str, ...] = ()
    coco_id: int = NO_ID


@dataclasses.dataclass(frozen=True, slots=True)
class AnnotationSource:
    """Where annotations come from: small, and sent to the workers instead of them.

    Attributes:
        kind: How the names of the files are to be read.
        captions: Path or URL of a COCO caption file; '' when none.
        wikiart_lists: Paths or URLs of WikiArt lists, `Style/file.jpg,class` a line.
    """

    kind: Kind = "folder"
    captions: str = ""
    wikiart_lists: tuple[str, ...] = ()

    def of(self, key: str) -> Annotation:
        """Return what is known of the picture of a key.

        Raises:
            ValueError: A file of annotations cannot be used.
            OSError: A file of annotations cannot be read.
        """
        if self.kind == "coco" and self.captions:
            return read_captions(self.captions).get(_base_name(key), Annotation())
        if self.kind == "wikiart":
            return _painting(key, self.wikiart_lists)
        return Annotation()

    def named(self) -> frozenset[str]:
        """Return the file names that the caption file or the lists name.

        Raises:
            ValueError: A file of annotations cannot be used.
            OSError: A file of annotations cannot be read.
        """
        if self.kind == "coco" and self.captions:
            return frozenset(read_captions(self.captions))
        if self.kind == "wikiart":
            return frozenset(
                name for path in self.wikiart_lists for name in read_wikiart_list(path)
            )
        return frozenset()

    def name_of(self, key: str) -> str:
        """Return the name by which `named` may hold the picture of a key."""
        return _listed_name(key) if self.kind == "wikiart" else _base_name(key)


@functools.lru_cache(maxsize=4)  # once a process, not once an element
def read_captions(path: str) -> Mapping[str, Annotation]:
    """Return the annotations of a COCO caption file by file name.

    Args:
        path: Path of a JSON object with `images` (`id`, `file_name`) and `annotations`
            (`image_id`, `caption`), local or remote.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not JSON, is truncated, or holds no captions.
    """
    try:
        content: Any = json.loads(read_file(path))
    except ValueError as error:
        raise ValueError(
            f"{path} is not JSON, or only a part of it: {error}. Fetch it again"
        ) from error
    try:
        captions: dict[int, list[str]] = {
            image["id"]: [] for image in content["images"]
        }
        for annotation in content["annotations"]:
            # Other files are subsets: captions of images that are not theirs.
            captions.setdefault(annotation["image_id"], []).append(
                annotation["caption"].strip()
            )
        return {
            _base_name(image["file_name"]): Annotation(
                captions=tuple(captions[image["id"]]), coco_id=int(image["id"])
            )
            for image in content["images"]
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is not a COCO caption file: it needs `images` with `id` and "
            "`file_name`, and `annotations` with `image_id` and `caption` "
            f"(found no {error}). Use captions_*.json, not instances_*.json"
        ) from error


@functools.lru_cache(maxsize=8)
def read_wikiart_list(path: str) -> frozenset[str]:
    """Return the names `Style/file.jpg` of an official WikiArt list.

    Raises:
        OSError: The file cannot be read.
        ValueError: A line is not `Style/file.jpg,class`.
    """
    names = set()
    # A few accents are garbled at the source; such names are matched as they are.
    text = read_file(path).decode("utf-8", "replace")
    for number, row in enumerate(csv.reader(io.StringIO(text)), start=1):
        if not row:
            continue
        if len(row) != 2 or row[0].count("/") != 1 or not row[1].strip().isdigit():
            raise ValueError(
                f"{path}, line {number}: expected `Style/file.jpg,class`, found "
                f"{','.join(row)[:80]!r}. Use style_train.csv or style_val.csv"
            )
        names.add(row[0])
    return frozenset(names)


@functools.lru_cache(maxsize=4)
def _styles_by_file(paths: tuple[str, ...]) -> Mapping[str, str]:
    """Return the style of each file name that the lists have under one style only."""
    styles: dict[str, set[str]] = {}
    for path in paths:
        for name in read_wikiart_list(path):
            style, file = name.split("/")
            styles.setdefault(file, set()).add(style)
    return {file: min(names) for file, names in styles.items() if len(names) == 1}


def _painting(key: str, lists: tuple[str, ...]) -> Annotation:
    r"""Read style, artist and title from `Style/artist_title.jpg`.

    The style is the folder's name. Where lists are given, a file that they hold under
    exactly one style is of that style, so that a flat folder gets its labels too. The
    lists do not decide the split, which is a function of the bytes: two copies of a
    painting never end on both sides.

    >>> _painting("wikiart/Cubism/juan-gris_guitar_1913.jpg", ())
    Annotation(label='Cubism', artist='juan-gris', title='guitar_1913', captions=(), \
coco_id=-1)
    """
    folder, _, file = key.rpartition("/")
    label = folder.rpartition("/")[2]
    stem = file.rpartition(".")[0] or file
    artist, found, title = stem.partition("_")
    if not found:
        artist, title = "", stem
    if lists and not any(
        _listed_name(key) in read_wikiart_list(path) for path in lists
    ):
        label = _styles_by_file(lists).get(file, label)
    return Annotation(label=label, artist=artist, title=title)


def _listed_name(key: str) -> str:
    return "/".join(key.split("/")[-2:])


def _base_name(key: str) -> str:
    return key.rpartition("/")[2]


@dataclasses.dataclass(frozen=True, slots=True)
class SourceImage:
    """One input. If its bytes are already here, they never cross a shuffle.

    Attributes:
        ref: Where the input is.
        data: Bytes of the input; None where they are still to be read.
        annotation: What is known of the input; None where it follows from the key.
    """

    ref: ImageRef
    data: bytes | None = None
    annotation: Annotation | None = None
