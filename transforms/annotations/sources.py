"""What is known of a picture besides its pixels: class, objects, captions, and more.

COCO tells it in annotation files, WikiArt in its folders and file names, an ImageFolder
tree in its folders.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from transforms.annotations.coco import read_coco
from transforms.annotations.coco_objects import NO_ID
from transforms.annotations.label_maps import MapFile, Segment
from transforms.annotations.objects import ImageObject
from transforms.elements import ImageError, ImageRef, Reason
from transforms.inputs.names import composed
from transforms.run_cache import kept_for_a_run
from transforms.storage.text import csv_rows, read_text, shown

Kind = Literal["folder", "coco", "wikiart", "voc", "yolo"]
Labels = Literal["none", "folder"]

Split = Literal["train", "val", "test"]

# What people call the splits.
SPLIT_NAMES: Final[Mapping[str, Split]] = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}

NO_CLASS: Final = -1

BESIDE: Final = "beside"
"""Where files of annotations are that lie among the inputs themselves."""


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
        label_index: Place of the label in the list of classes; -1 when it has none.
        split: Split that it is in; '' when none.
        objects: What is to be seen in it; empty where nothing is, None where nobody
            knows.
        width: Width of the picture that the objects mean, in pixels; 0 when not given.
        height: Height of the picture that the objects mean; 0 when not given.
        license: Name of its licence; '' when none.
        license_url: Where the licence can be read; '' when none.
        url: Where the picture came from; '' when none.
        wrong: What is wrong with each annotation that cannot be used.
        objects_from: What kind of file the objects came in: voc or yolo; '' for COCO.
        relative: Whether the objects are in shares of the picture, not in pixels.
        more: Fields of its annotation file that have no name here, as a JSON object;
            '' when none.
        metadata: Its columns in a table of metadata, as a JSON object; '' when none.
        mask: Its map of classes; None when none.
        panoptic: Its map of segments; None when none.
        segments: The segments of that map; None where there is none.
    """

    label: str = ""
    artist: str = ""
    title: str = ""
    captions: tuple[str, ...] = ()
    coco_id: int = NO_ID
    problem: str = ""
    label_index: int = NO_CLASS
    split: str = ""
    objects: tuple[ImageObject, ...] | None = None
    width: int = 0
    height: int = 0
    license: str = ""
    license_url: str = ""
    url: str = ""
    wrong: tuple[str, ...] = ()
    objects_from: str = ""
    relative: bool = False
    more: str = ""
    metadata: str = ""
    mask: MapFile | None = None
    panoptic: MapFile | None = None
    segments: tuple[Segment, ...] | None = None

    @property
    def given(self) -> int:
        """How many annotations there are of the picture.

        Objects, segments, captions, maps, and a row of a table.
        """
        lists = (self.captions, self.objects, self.segments, self.wrong)
        others = (self.mask, self.panoptic, self.metadata)
        return sum(len(items or ()) for items in lists) + sum(map(bool, others))

    def checked(self) -> "Annotation":
        """Return itself.

        Raises:
            ImageError: bad_annotation: it cannot be used.
        """
        if self.problem:
            raise ImageError(Reason.BAD_ANNOTATION, self.problem)
        return self

    def to_json(self) -> dict[str, Any]:
        """Return what is known, as JSON holds it."""
        objects = self.objects
        return {
            **{field.name: getattr(self, field.name) for field in _FIELDS},
            "captions": list(self.captions),
            "wrong": list(self.wrong),
            "objects": None if objects is None else [item.to_row() for item in objects],
            **{
                name: file if file is None else file.to_json()
                for name, file in (("mask", self.mask), ("panoptic", self.panoptic))
            },
            "segments": (
                None
                if self.segments is None
                else [segment.to_row() for segment in self.segments]
            ),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Annotation":
        """Return what `to_json` wrote down; what is missing is not known."""
        objects = content.get("objects")
        lists = {name: tuple(content.get(name) or ()) for name in ("captions", "wrong")}
        plain = {
            field.name: content[field.name]
            for field in _FIELDS
            if content.get(field.name) is not None
        }
        segments = content.get("segments")
        return cls(
            **{
                **plain,
                **lists,
                "objects": objects
                if objects is None
                else tuple(map(ImageObject.from_row, objects)),
                "segments": segments
                if segments is None
                else tuple(map(Segment.from_row, segments)),
                "mask": MapFile.from_json(content.get("mask")),
                "panoptic": MapFile.from_json(content.get("panoptic")),
            }
        )


_FIELDS: Final = dataclasses.fields(Annotation)


@dataclasses.dataclass(frozen=True, slots=True)
class AnnotationSource:
    """Where annotations come from: small, and sent to the workers instead of them.

    Attributes:
        kind: How the names of the files are to be read.
        captions: Path or URL of a COCO caption file; '' when none.
        wikiart_lists: Paths or URLs of WikiArt lists, `Style/file.jpg,class` a line.
        instances: Path or URL of a COCO instance file; '' when none.
        labels: Whether the folder that a picture lies in is its class.
        split_folders: Whether the first folder of a key is a split, and so no class.
    """

    kind: Kind = "folder"
    captions: str = ""
    wikiart_lists: tuple[str, ...] = ()
    instances: str = ""
    labels: Labels = "none"
    split_folders: bool = False

    @property
    def has_files(self) -> bool:
        """Whether there are files of COCO, which the launcher alone reads."""
        return self.kind == "coco" and bool(self.captions or self.instances)

    @property
    def has_labels(self) -> bool:
        """Whether it tells the classes of pictures."""
        return self.kind == "wikiart" or self.labels == "folder"

    def of(self, key: str) -> Annotation:
        """Return what is known of the picture of a key.

        Names are compared in their composed form.

        Raises:
            ImageError: bad_annotation: what is said of it cannot be used.
            ValueError: A file of annotations cannot be used.
            OSError: A file of annotations cannot be read.
        """
        return self.unchecked(key).checked()

    def unchecked(self, key: str) -> Annotation:
        """Return what is said of the picture of a key, usable or not.

        Raises:
            ImageError: bad_annotation: several images of the files fit the key.
            ValueError: A file of annotations cannot be used.
            OSError: A file of annotations cannot be read.
        """
        found = Annotation()
        if self.has_files:
            found = self._of_coco(key)
        if self.kind == "wikiart":
            found = _painting(key, self.wikiart_lists)
        if self.labels == "folder":
            found = dataclasses.replace(
                found, label=folder_label(key, self.split_folders)
            )
        return found

    def label_of(self, key: str) -> str:
        """Return the class of the picture of a key; '' for none."""
        if self.labels == "folder":
            return folder_label(key, self.split_folders)
        return (
            _painting(key, self.wikiart_lists).label if self.kind == "wikiart" else ""
        )

    def _of_coco(self, key: str) -> Annotation:
        images = read_coco(self.instances, self.captions)
        image = images.find(key)
        if image is None:
            return Annotation()
        objects, wrong = images.objects(image)
        return Annotation(
            captions=tuple(image.captions),
            coco_id=image.id,
            problem=image.problem,
            objects=objects,
            width=image.width if objects is not None else 0,
            height=image.height if objects is not None else 0,
            license=image.license if self.instances else "",
            license_url=image.license_url if self.instances else "",
            url=image.url if self.instances else "",
            wrong=wrong,
        )

    def named(self) -> frozenset[str]:
        """Return the file names that WikiArt's lists name.

        Raises:
            ValueError: A list cannot be used.
            OSError: A list cannot be read.
        """
        return frozenset(
            name for path in self.wikiart_lists for name in read_wikiart_list(path)
        )


def folder_label(key: str, split_folders: bool = False) -> str:
    """Return the name of the folder that a picture lies in, composed; '' for none.

    Args:
        key: Key of the picture.
        split_folders: Whether the first folder, behind the name of the input if that
            is there, is a split: a picture right inside has no class.

    >>> folder_label("train/cat/1.jpg"), folder_label("1.jpg")
    ('cat', '')
    >>> folder_label("train/1.jpg", True), folder_label("train/train/1.jpg", True)
    ('', 'train')
    """
    *folders, _ = key.split("/")
    if split_folders:
        splits = [place for place in (0, 1) if folders[place : place + 1]]
        first = next((p for p in splits if folders[p] in SPLIT_NAMES), None)
        if first is not None and first == len(folders) - 1:
            return ""
    return composed(folders[-1]) if folders else ""


def class_list(names: Iterable[str]) -> bytes:
    r"""Return the names of classes as a file, one a line.

    A line break inside a name would be two classes: it is written as the text `\\n`.
    """
    lines = (name.replace("\r", "\\r").replace("\n", "\\n") + "\n" for name in names)
    return "".join(lines).encode()


def _read_text(path: str) -> str:
    try:
        return read_text(path)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


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
    listed = composed(listed_name(key))
    if lists and not any(listed in read_wikiart_list(path) for path in lists):
        label = _styles_by_file(lists).get(composed(file), label)
    # One class, whether a list or a folder names it.
    return Annotation(label=composed(label), artist=artist, title=title)


def listed_name(key: str) -> str:
    """Return the name `Style/file.jpg` by which lists of WikiArt have a picture."""
    return "/".join(key.split("/")[-2:])


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
