"""The images of COCO files in a database on disk, found by the keys of pictures."""

import marshal
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from transforms.annotations.coco_images import (
    CocoImage,
    caption_problem,
    image_of,
    said,
)
from transforms.annotations.coco_objects import (
    NO_ID,
    BadAnnotationError,
    Category,
    coco_object,
    id_of,
)
from transforms.annotations.json_stream import JsonFile
from transforms.annotations.objects import ImageObject
from transforms.elements import ImageError, Reason
from transforms.inputs.names import composed
from transforms.storage.text import shown


class CocoImages:
    """The images of COCO files, found by the keys of pictures.

    They are in a database on disk without a name, which goes with this object: files of
    any size take little memory.

    Attributes:
        categories: The classes, by id.
        sha256: The sha256 of each file that was read, hexadecimal, by its path.
    """

    def __init__(self) -> None:
        self.categories: dict[int, Category] = {}
        self.sha256: dict[str, str] = {}
        self._licenses: list[dict[Any, Mapping[str, Any]]] = []
        # One thread after another: the launcher is one.
        self._data = sqlite3.connect("", check_same_thread=False)
        self._data.executescript(_TABLES)

    def __del__(self) -> None:
        self._data.close()

    @property
    def named(self) -> int:
        """How many file names the images have."""
        return self._number("SELECT count(DISTINCT tail) FROM images")

    @property
    def annotations(self) -> int:
        """How many annotations the files have."""
        known = f"{_FIRST.format('1')} = 1"
        captions = self._number(f"SELECT count(*) FROM captions WHERE {known}")
        return captions + self._number("SELECT count(*) FROM objects")

    @property
    def elsewhere(self) -> int:
        """How many are of images that `fit` found for no picture, or for several."""
        fitting = _FIRST.format("fitting")
        objects = f"{_FIRST.format('listed')} = 1 AND {fitting} <> 1"
        return self._number(
            f"SELECT (SELECT count(*) FROM captions WHERE {fitting} <> 1) + "
            f"(SELECT count(*) FROM objects WHERE {objects})"
        )

    def absent(self) -> tuple[int, str]:
        """Return how many file names `fit` found no picture for, and one of them."""
        where = "FROM images WHERE fitting = 0"
        count = self._number(f"SELECT count(DISTINCT tail) {where}")
        first = self._data.execute(f"SELECT min(name) {where}").fetchone()[0]
        return count, "" if first is None else _text(first)

    def strays(self) -> Iterator[str]:
        """Yield what is wrong with each annotation that belongs to none of the images.

        In the order of the files.
        """
        found = self._data.execute(
            f"SELECT data FROM objects WHERE coalesce({_FIRST.format('listed')}, 0) = 0"
            " ORDER BY rowid"
        )
        for (data,) in found:
            annotation = marshal.loads(data)
            yield (
                f"annotation {shown(annotation.get('id'))}: the file has no image "
                f"{shown(annotation.get('image_id'))}"
            )

    def images(self) -> Iterator[CocoImage]:
        """Yield the images, in the order of the files."""
        for (row,) in self._data.execute("SELECT rowid FROM images ORDER BY rowid"):
            yield self._read(row)

    def find(self, key: str) -> CocoImage | None:
        """Return what is said of the picture of a key; None where it is not listed.

        Raises:
            ImageError: bad_annotation: several images of the files fit the key.
        """
        row = self._row(key)
        return None if row is None else self._read(row)

    def fit(self, keys: Iterable[str]) -> None:
        """Note which images the pictures of some keys are, and of no others."""
        self._data.execute("UPDATE images SET fitting = 0, first = NULL, second = NULL")
        for key in keys:
            try:
                row = self._row(key)
            except ImageError:
                continue  # It fits several, and fails itself.
            if row is not None:
                self._data.execute(
                    "UPDATE images SET fitting = fitting + 1, first = coalesce(first, "
                    "?1), second = CASE WHEN fitting = 1 THEN ?1 ELSE second END WHERE "
                    "rowid = ?2",
                    (_bytes(key), row),
                )

    def check_alone(self, key: str) -> None:
        """Refuse a key whose image `fit` found for other keys, too.

        Raises:
            ImageError: bad_annotation: there are others, or several images fit the key.
        """
        found = self._data.execute(
            "SELECT name, first, second FROM images WHERE rowid = ? AND fitting > 1",
            (self._row(key),),
        ).fetchone()
        if found is not None:
            name, first, second = (shown(_text(text)) for text in found)
            raise ImageError(
                Reason.BAD_ANNOTATION,
                f"its annotations, of {name}, fit {first} and {second}",
            )

    def _row(self, key: str) -> int | None:
        parts = composed(key).split("/")[::-1]
        tails = [_bytes("/".join(parts[: count + 1])) for count in range(len(parts))]
        marks = ", ".join("?" * len(tails))
        found = self._data.execute(
            f"SELECT rowid, name FROM images WHERE tail IN ({marks}) LIMIT 2", tails
        ).fetchall()
        if not found:
            # "0" comes after "/": all that begins with the key.
            begin, end = tails[-1] + b"/", tails[-1] + b"0"
            found = self._data.execute(
                "SELECT rowid, name FROM images WHERE tail >= ? AND tail < ? LIMIT 2",
                (begin, end),
            ).fetchall()
        if len(found) > 1:
            names = ", ".join(shown(_text(name)) for _, name in found)
            raise ImageError(
                Reason.BAD_ANNOTATION,
                f"several images of the annotation files are named like it: {names}",
            )
        return found[0][0] if found else None

    def _read(self, row: int) -> CocoImage:
        name, about, width, height, facts, problem, listed = self._data.execute(
            "SELECT name, id, width, height, facts, problem, listed FROM images WHERE "
            "rowid = ?",
            (row,),
        ).fetchone()
        file, license_id, url = marshal.loads(facts)
        license = self._licenses[file].get(license_id) or {}
        identifier = NO_ID if about is None else about
        image = CocoImage(
            _text(name),
            identifier,
            width,
            height,
            said(license.get("name")),
            said(license.get("url")),
            url,
            _text(problem),
            objects=[] if listed else None,
        )
        if self._first(identifier) != row:
            return image  # What is said of its id is said of another.
        if image.objects is not None:
            query = "SELECT data FROM objects WHERE about = ? ORDER BY rowid"
            found = self._data.execute(query, (identifier,))
            image.objects += [marshal.loads(data) for (data,) in found]
        query = "SELECT text FROM captions WHERE about = ? ORDER BY rowid"
        found = self._data.execute(query, (identifier,))
        image.captions += [_text(text) for (text,) in found]
        return image

    def _first(self, identifier: int) -> int | None:
        """Return the row of the first image of an id."""
        query = "SELECT min(rowid) FROM images WHERE id = ?"
        found: int | None = self._data.execute(query, (identifier,)).fetchone()[0]
        return found

    def _number(self, query: str) -> int:
        number: int = self._data.execute(query).fetchone()[0]
        return number

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

    def add_file(self, file: JsonFile, *, instances: bool) -> None:
        """Take in a file.

        Raises:
            KeyError: It has no list of a name that it needs.
            TypeError: An entry is of another type.
            ValueError: It is not JSON, or two classes have one id or one name.
        """
        self._licenses.append({})
        add_annotation = self._add_object if instances else self._add_caption
        for name, entry in file.entries():
            if name == "annotations":
                add_annotation(entry)
            elif name == "images":
                self._add_image(entry, instances)
            elif name == "licenses" and isinstance(entry, Mapping):
                self._licenses[-1][entry.get("id")] = entry
            elif name == "categories" and instances:
                self._add_category(entry)
        needed = {"images", "annotations"} | ({"categories"} if instances else set())
        for name in sorted(needed - file.lists):
            raise KeyError(name)
        if instances and not self.categories and self._has_objects():
            raise KeyError("categories")

    def _has_objects(self) -> bool:
        return self._data.execute("SELECT 1 FROM objects").fetchone() is not None

    def _add_image(self, entry: Mapping[str, Any], instances: bool) -> None:
        image = image_of(entry)
        known = self._first(image.id)
        if known is not None and self._is_same(known, image):
            if instances:
                query = "UPDATE images SET listed = 1 WHERE rowid = ?"
                self._data.execute(query, (known,))
            return
        facts = (len(self._licenses) - 1, entry.get("license"), image.url)
        parts = image.name.split("/")[::-1]
        self._data.execute(
            "INSERT INTO images (id, tail, name, width, height, facts, problem, listed)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                None if image.id == NO_ID else image.id,
                _bytes("/".join(parts)),
                _bytes(image.name),
                image.width,
                image.height,
                marshal.dumps(facts),
                _bytes(image.problem),
                instances,
            ),
        )

    def _is_same(self, row: int, image: CocoImage) -> bool:
        """Return whether an earlier entry of the same id is of the same image.

        Entries of one id that say different things make both of them unusable.
        """
        query = "SELECT name, width, height FROM images WHERE rowid = ?"
        name, width, height = self._data.execute(query, (row,)).fetchone()
        sizes = {(width, height), (image.width, image.height)} - {(0, 0)}
        if _text(name) == image.name and len(sizes) < 2:
            return True
        image.problem = (
            f"two images of the annotation files have the id {image.id}: "
            f"{shown(_text(name))} and {shown(image.name)}"
            if _text(name) != image.name
            else f"the annotation files give it two sizes: {sorted(sizes)}"
        )
        self._set_problem(row, image.problem)
        return _text(name) == image.name

    def _set_problem(self, row: int, problem: str) -> None:
        query = "UPDATE images SET problem = ? WHERE rowid = ?"
        self._data.execute(query, (_bytes(problem), row))

    def _add_category(self, entry: Mapping[str, Any]) -> None:
        category = Category(
            id_of(entry["id"]), entry["name"], str(entry.get("supercategory", ""))
        )
        if category.id == NO_ID or not isinstance(category.name, str):
            raise ValueError(f"its category {shown(entry)} has no usable id or name")
        names = {known.name for known in self.categories.values()}
        if category.id in self.categories or category.name in names:
            raise ValueError(
                f"two of its categories have the id {category.id} or the name "
                f"{shown(category.name)}"
            )
        self.categories[category.id] = category

    def _add_object(self, entry: Mapping[str, Any]) -> None:
        identifier = id_of(entry.get("image_id"))
        self._data.execute(
            "INSERT INTO objects VALUES (?, ?)",
            (None if identifier == NO_ID else identifier, marshal.dumps(dict(entry))),
        )

    def _add_caption(self, entry: Mapping[str, Any]) -> None:
        # Caption files for other purposes are subsets: there are captions of images
        # that are not theirs.
        identifier, caption = id_of(entry["image_id"]), entry["caption"]
        problem = caption_problem(caption)
        self._data.execute(
            f"INSERT INTO {'wrong_captions' if problem else 'captions'} VALUES (?, ?)",
            (
                None if identifier == NO_ID else identifier,
                _bytes(problem or caption.strip()),
            ),
        )

    def finish(self) -> None:
        """Make what was added ready to be found."""
        self._data.executescript(
            "CREATE INDEX of_objects ON objects (about);"
            "CREATE INDEX of_captions ON captions (about);"
            "CREATE INDEX of_tails ON images (tail);"
        )
        query = "SELECT about, text FROM wrong_captions WHERE about IS NOT NULL"
        for about, problem in self._data.execute(query).fetchall():
            row = self._first(about)
            if row is not None:
                self._set_problem(row, _text(problem))


# `tail` is a name with its parts turned round: what names end with is what it begins
# with. Texts are bytes, since those of files may be no texts of a database.
_TABLES: Final = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = FILE;
CREATE TABLE images (
    id INTEGER, tail BLOB, name BLOB, width INTEGER, height INTEGER, facts BLOB,
    problem BLOB, listed INTEGER, fitting INTEGER DEFAULT 0, first BLOB, second BLOB
);
CREATE INDEX of_images ON images (id);
CREATE TABLE objects (about INTEGER, data BLOB);
CREATE TABLE captions (about INTEGER, text BLOB);
CREATE TABLE wrong_captions (about INTEGER, text BLOB);
"""

# What is said of the first image of an id, to which its annotations belong.
_FIRST: Final = "(SELECT {} FROM images WHERE id = about ORDER BY rowid LIMIT 1)"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
