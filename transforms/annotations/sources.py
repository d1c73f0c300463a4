"""What is known of a picture besides its pixels: captions, label, artist, title.

COCO tells it in an annotation file, WikiArt in its folders and file names.
"""

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from transforms.elements import ImageError, ImageRef, Reason
from transforms.inputs.names import composed
from transforms.run_cache import kept_for_a_run
from transforms.storage.text import csv_rows, read_text, shown

Kind = Literal["folder", "coco", "wikiart"]

NO_ID: Final = -1

# Python refuses to read thousands of digits; an int64 has 19.
_ID: Final = re.compile(r"[0-9]{1,19}")


@dataclasses.dataclass(frozen=True, slots=True)
class Annotation:
    """What is known of one picture; every field may be missing.

    Attributes:
        label: Class of the picture, such as the style of a painting; '' when none.
        artist: Who made it, as the file name spells it; '' when none.
        title: What it is called, as the file name spells it; '' when none.
        captions: Sentences about it, in the order of the annotation file.
        coco_id: COCO's id of the image; -1 when none.
        problem: Why what is said of the picture cannot be used; '' when it can.
    """

    label: str = ""
    artist: str = ""
    title: str = ""
    captions: tuple[str, ...] = ()
    coco_id: int = NO_ID
    problem: str = ""

    def checked(self) -> "Annotation":
        """Return itself.

        Raises:
            ImageError: bad_annotation: it cannot be used.
        """
        if self.problem:
            raise ImageError(Reason.BAD_ANNOTATION, self.problem)
        return self


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

        Names are compared in their composed form.

        Raises:
            ImageError: bad_annotation: what is said of it cannot be used.
            ValueError: A file of annotations cannot be used.
            OSError: A file of annotations cannot be read.
        """
        if self.kind == "coco" and self.captions:
            found = read_captions(self.captions).get(self.name_of(key), Annotation())
            return found.checked()
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
        name = _listed_name if self.kind == "wikiart" else _base_name
        return composed(name(key))


@kept_for_a_run(maxsize=4)  # once a process, not once an element
def read_captions(path: str) -> Mapping[str, Annotation]:
    """Return the annotations of a COCO caption file by composed file name.

    What cannot be used of one image is the `problem` of its annotation, and stops none
    of the others.

    Args:
        path: Path of a JSON object with `images` (`id`, `file_name`) and `annotations`
            (`image_id`, `caption`), local or remote.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not JSON, is truncated, or holds no captions.
    """
    content = _read_json(path)
    try:
        captions, problems = _captions_by_id(content["annotations"])
        found: dict[str, Annotation] = {}
        for image in content["images"]:
            name = _base_name(image["file_name"].replace("\\", "/"))
            identifier = id_of(image["id"])
            problem = problems.get(identifier, "")
            if identifier == NO_ID:
                given = shown(image["id"])
                problem = f"its id {given} is not a whole number of 64 bits"
            said = tuple(captions.get(identifier, ()))
            annotation = Annotation(captions=said, coco_id=identifier, problem=problem)
            if found.setdefault(composed(name), annotation).coco_id != identifier:
                problem = f"several images of the caption file are named {shown(name)}"
                found[composed(name)] = Annotation(problem=problem)
    except (KeyError, TypeError, AttributeError) as error:
        found_instead = f"no {error}" if isinstance(error, KeyError) else "other types"
        raise ValueError(
            f"{path} is not a COCO caption file: it needs `images` with `id` and "
            "`file_name`, and `annotations` with `image_id` and `caption` "
            f"(found {found_instead}). Use captions_*.json, not instances_*.json"
        ) from error
    return found


def _read_json(path: str) -> Any:
    text = _read_text(path)
    try:
        return json.loads(text, parse_int=_whole_number)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is not JSON, or only a part of it: {error}. Fetch it again"
        ) from error


def _read_text(path: str) -> str:
    try:
        return read_text(path)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _whole_number(digits: str) -> int | str:
    return int(digits) if _ID.fullmatch(digits) else digits


def _captions_by_id(
    annotations: Iterable[Mapping[str, Any]],
) -> tuple[dict[int, list[str]], dict[int, str]]:
    """Return captions and problems by the id of their image.

    Files for other purposes are subsets: there are captions of images that are not
    theirs.
    """
    captions: dict[int, list[str]] = {}
    problems: dict[int, str] = {}
    for annotation in annotations:
        identifier, caption = id_of(annotation["image_id"]), annotation["caption"]
        if problem := _caption_problem(caption):
            problems[identifier] = problem
        else:
            captions.setdefault(identifier, []).append(caption.strip())
    return captions, problems


def _caption_problem(caption: Any) -> str:
    if not isinstance(caption, str):
        return f"its caption {shown(caption)} is not a text"
    try:
        caption.encode()
    except UnicodeEncodeError:
        return f"its caption {shown(caption)} has half a character (a lone surrogate)"
    return ""


def id_of(value: Any) -> int:
    """Return a value as the id of an image; -1 where it is none of 64 bits.

    >>> id_of(5), id_of("5"), id_of(10**23), id_of(True), id_of(None)
    (5, 5, -1, -1, -1)
    """
    if isinstance(value, str) and _ID.fullmatch(value):
        value = int(value)
    return value if type(value) is int and 0 <= value < 2**63 else NO_ID


@kept_for_a_run(maxsize=8)
def read_wikiart_list(path: str) -> frozenset[str]:
    """Return the composed names `Style/file.jpg` of an official WikiArt list.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not UTF-8, or a line is not `Style/file.jpg,class`.
    """
    names = set()
    text = _read_text(path)
    try:
        for line, _, row in csv_rows(text):
            named = len(row) == 2 and row[0].count("/") == 1 and "\ufeff" not in row[0]
            if not named or not row[1].strip().isdigit():
                raise ValueError(
                    f"line {line}: expected `Style/file.jpg,class`, found "
                    f"{shown(','.join(row))}. Use style_train.csv or style_val.csv"
                )
            names.add(composed(row[0]))
    except ValueError as error:
        raise ValueError(f"{path}, {error}") from error
    return frozenset(names)


@kept_for_a_run(maxsize=4)
def _styles_by_file(paths: tuple[str, ...]) -> Mapping[str, str]:
    """Return the style of each file name that the lists have under one style only."""
    styles: dict[str, set[str]] = {}
    for path in paths:
        for name in read_wikiart_list(path):
            style, file = name.split("/")
            styles.setdefault(file, set()).add(style)
    return {file: min(names) for file, names in styles.items() if len(names) == 1}


def _painting(key: str, lists: tuple[str, ...]) -> Annotation:
    """Read style, artist and title from `Style/artist_title.jpg`.

    The style is the folder's name. Where lists are given, a file that they hold under
    exactly one style is of that style, so that a flat folder gets its labels too. The
    lists do not decide the split, which is a function of the bytes: two copies of a
    painting never end on both sides.

    >>> found = _painting("wikiart/Cubism/juan-gris_guitar_1913.jpg", ())
    >>> found.label, found.artist, found.title
    ('Cubism', 'juan-gris', 'guitar_1913')
    """
    folder, _, file = key.rpartition("/")
    label = folder.rpartition("/")[2]
    stem = file.rpartition(".")[0] or file
    artist, found, title = stem.partition("_")
    if not found:
        artist, title = "", stem
    listed = composed(_listed_name(key))
    if lists and not any(listed in read_wikiart_list(path) for path in lists):
        label = _styles_by_file(lists).get(composed(file), label)
    # One class, whether a list or a folder names it.
    return Annotation(label=composed(label), artist=artist, title=title)


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
