"""What COCO's files say of images: objects, captions, licences, and what is wrong.

An instance file and a caption file may be given together; their images are one where
their ids are. A `file_name` means the pictures whose keys end with it, part by part;
where none does, those whose whole keys it ends with, as where a folder was left out. So
`a/1.jpg` and `b/1.jpg` never get each other's annotations.
"""

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from transforms.annotations.coco_objects import (
    NO_ID,
    BadAnnotationError,
    Category,
    coco_object,
    id_of,
)
from transforms.annotations.objects import ImageObject
from transforms.elements import ImageError, Reason
from transforms.inputs.names import composed
from transforms.run_cache import kept_for_a_run
from transforms.storage.text import read_text, shown

# Python refuses to read thousands of digits; an int64 has 19.
_WHOLE: Final = re.compile(r"-?[0-9]{1,19}")


@dataclasses.dataclass(slots=True)
class CocoImage:
    """What the files say of one image.

    Attributes:
        name: Its `file_name`, composed, with slashes.
        id: Its id; -1 where it is none.
        width: Width in pixels; 0 when none is given.
        height: Height in pixels; 0 when none is given.
        license: Name of its licence; '' when none.
        license_url: Where the licence can be read; '' when none.
        url: Where the image came from; '' when none.
        problem: Why nothing that is said of it can be used; '' when it can.
        captions: Sentences about it, in the order of the file.
        objects: Its annotations as the instance file has them; None where that file
            does not list it, so that nobody knows its objects.
    """

    name: str
    id: int
    width: int = 0
    height: int = 0
    license: str = ""
    license_url: str = ""
    url: str = ""
    problem: str = ""
    captions: list[str] = dataclasses.field(default_factory=list)
    objects: list[Mapping[str, Any]] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels; 0, 0 when none are given."""
        return (self.width, self.height) if self.width and self.height else (0, 0)

    @property
    def annotations(self) -> int:
        """How many annotations the files have of it."""
        return len(self.captions) + len(self.objects or ())


class CocoImages:
    """The images of COCO files, found by the keys of pictures.

    Attributes:
        categories: The classes, by id.
        strays: What is wrong with each annotation that belongs to none of the images.
    """

    def __init__(self) -> None:
        self.categories: dict[int, Category] = {}
        self.strays: list[str] = []
        self._by_id: dict[int, CocoImage] = {}
        self._by_file: dict[str, list[CocoImage]] = {}

    @property
    def names(self) -> frozenset[str]:
        """The file names of all images."""
        return frozenset(image.name for image in self.images())

    @property
    def annotations(self) -> int:
        """How many annotations the files have."""
        listed = sum(image.annotations for image in self.images())
        return listed + len(self.strays)

    def images(self) -> Iterator[CocoImage]:
        """Yield the images."""
        for images in self._by_file.values():
            yield from images

    def find(self, key: str) -> CocoImage | None:
        """Return what is said of the picture of a key; None where it is not listed.

        Raises:
            ImageError: bad_annotation: several images of the files fit the key.
        """
        key = composed(key)
        same = self._by_file.get(_base_name(key), ())
        found = [image for image in same if _ends_with(key, image.name)]
        found = found or [image for image in same if _ends_with(image.name, key)]
        if len(found) > 1:
            names = ", ".join(shown(image.name) for image in found[:2])
            raise ImageError(
                Reason.BAD_ANNOTATION,
                f"several images of the annotation files are named like it: {names}",
            )
        return found[0] if found else None

    def objects(
        self, image: CocoImage
    ) -> tuple[tuple[ImageObject, ...] | None, tuple[str, ...]]:
        """Return the objects of an image, and what is wrong with its other annotations.

        The objects are None where nobody knows them.
        """
        if image.objects is None:
            return None, ()
        found, wrong = [], []
        for annotation in image.objects:
            try:
                found.append(coco_object(annotation, self.categories, image.size))
            except BadAnnotationError as error:
                wrong.append(f"annotation {shown(annotation.get('id'))}: {error}")
        return tuple(found), tuple(wrong)

    def add_images(self, content: Mapping[str, Any], *, instances: bool) -> None:
        """Take in the images of a file."""
        licenses = {
            about.get("id"): about
            for about in content.get("licenses") or ()
            if isinstance(about, Mapping)
        }
        for entry in content["images"]:
            image = _image(entry, licenses)
            known = self._known(image)
            if known is None:
                self._by_file.setdefault(_base_name(image.name), []).append(image)
                self._by_id.setdefault(image.id, image)
                known = image
            if instances and known.objects is None:
                known.objects = []

    def _known(self, image: CocoImage) -> CocoImage | None:
        """Return the same image as an earlier entry has it; None where there is none.

        Entries of one id that say different things make both of them unusable.
        """
        known = self._by_id.get(image.id) if image.id != NO_ID else None
        if known is None:
            return None
        sizes = {(i.width, i.height) for i in (known, image)} - {(0, 0)}
        if known.name == image.name and len(sizes) < 2:
            return known
        image.problem = known.problem = (
            f"two images of the annotation files have the id {image.id}: "
            f"{shown(known.name)} and {shown(image.name)}"
            if known.name != image.name
            else f"the annotation files give it two sizes: {sorted(sizes)}"
        )
        return known if known.name == image.name else None

    def add_categories(self, content: Mapping[str, Any]) -> None:
        """Take in the classes of an instance file.

        Raises:
            ValueError: Two have one id or one name, or an id or a name is none.
        """
        names = set()
        for entry in content["categories"]:
            category = Category(
                id_of(entry["id"]), entry["name"], str(entry.get("supercategory", ""))
            )
            if category.id == NO_ID or not isinstance(category.name, str):
                raise ValueError(
                    f"its category {shown(entry)} has no usable id or name"
                )
            if category.id in self.categories or category.name in names:
                raise ValueError(
                    f"two of its categories have the id {category.id} or the name "
                    f"{shown(category.name)}"
                )
            names.add(category.name)
            self.categories[category.id] = category
        if not self.categories and content["annotations"]:
            raise KeyError("categories")

    def add_objects(self, content: Mapping[str, Any]) -> None:
        """Give the annotations of an instance file to their images."""
        for annotation in content["annotations"]:
            image = self._by_id.get(id_of(annotation.get("image_id")))
            if image is None or image.id == NO_ID or image.objects is None:
                self.strays.append(
                    f"annotation {shown(annotation.get('id'))}: the file has no image "
                    f"{shown(annotation.get('image_id'))}"
                )
            else:
                image.objects.append(annotation)

    def add_captions(self, content: Mapping[str, Any]) -> None:
        """Give the captions of a file to their images.

        Caption files for other purposes are subsets: there are captions of images that
        are not theirs.
        """
        for annotation in content["annotations"]:
            identifier, caption = id_of(annotation["image_id"]), annotation["caption"]
            image = self._by_id.get(identifier)
            if image is None or identifier == NO_ID:
                continue
            if problem := _caption_problem(caption):
                image.problem = problem
            else:
                image.captions.append(caption.strip())


@kept_for_a_run(maxsize=2)  # once a process, not once an image
def read_coco(instances: str = "", captions: str = "") -> CocoImages:
    """Return what COCO files say.

    What cannot be used of one image is the `problem` of that image, and stops none of
    the others.

    Args:
        instances: Path or URL of an instance file; '' for none.
        captions: Path or URL of a caption file; '' for none.

    Raises:
        OSError: A file cannot be read.
        ValueError: A file is not JSON, is truncated, or holds something else.
    """
    images = CocoImages()
    if instances:
        with _Shape(instances, "instance", "bbox` and `category_id") as content:
            images.add_images(content, instances=True)
            images.add_categories(content)
            images.add_objects(content)
    if captions:
        with _Shape(captions, "caption", "caption") as content:
            images.add_images(content, instances=False)
            images.add_captions(content)
    return images


class _Shape:
    """Reads a file, and turns what a wrong shape of it raises into a ValueError."""

    def __init__(self, path: str, what: str, needed: str) -> None:
        self._path = path
        self._what = what
        self._needed = needed

    def __enter__(self) -> Any:
        return _read_json(self._path)

    def __exit__(self, _kind: Any, error: BaseException | None, _trace: Any) -> None:
        if isinstance(error, KeyError | TypeError | AttributeError):
            found = f"no {error}" if isinstance(error, KeyError) else "other types"
            others = {"instance": "captions", "caption": "instances"}
            categories = ", `categories`" if self._what == "instance" else ""
            raise ValueError(
                f"{self._path} is not a COCO {self._what} file: it needs `images` with "
                f"`id` and `file_name`{categories}, and `annotations` with `image_id` "
                f"and `{self._needed}` (found {found}). Use {self._what}s_*.json, not "
                f"{others[self._what]}_*.json"
            ) from error
        if isinstance(error, ValueError) and not str(error).startswith(self._path):
            raise ValueError(f"{self._path}: {error}") from error


def _read_json(path: str) -> Any:
    try:
        text = read_text(path)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    try:
        return json.loads(text, parse_int=_whole_number)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is not JSON, or only a part of it: {error}. Fetch it again"
        ) from error


def _whole_number(digits: str) -> int | str:
    return int(digits) if _WHOLE.fullmatch(digits) else digits


def _image(entry: Mapping[str, Any], licenses: Mapping[Any, Any]) -> CocoImage:
    name = composed(entry["file_name"].replace("\\", "/")).lstrip("/")
    identifier = id_of(entry["id"])
    problem = ""
    if identifier == NO_ID:
        problem = f"its id {shown(entry['id'])} is not a whole number of 64 bits"
    width, height = (id_of(entry.get(side, 0)) for side in ("width", "height"))
    if min(width, height) < 0:
        given = f"{shown(entry.get('width'))} by {shown(entry.get('height'))}"
        problem = problem or f"its size in the annotation file is {given}"
    license = licenses.get(entry.get("license")) or {}
    return CocoImage(
        name,
        identifier,
        max(0, width),
        max(0, height),
        _said(license.get("name")),
        _said(license.get("url")),
        _said(entry.get("coco_url")) or _said(entry.get("flickr_url")),
        problem,
    )


def _said(value: Any) -> str:
    return value if isinstance(value, str) and not _half_character(value) else ""


def _caption_problem(caption: Any) -> str:
    if not isinstance(caption, str):
        return f"its caption {shown(caption)} is not a text"
    if _half_character(caption):
        return f"its caption {shown(caption)} has half a character (a lone surrogate)"
    return ""


def _half_character(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _ends_with(path: str, tail: str) -> bool:
    return path == tail or path.endswith(f"/{tail}")


def _base_name(key: str) -> str:
    return key.rpartition("/")[2]
