"""WebDataset: tars in which files of one name, up to its first dot, are a sample.

The rule: the picture of a sample is its file with the ending of a picture and no other
(`jpg`); where it has none, its only file whose ending ends so (`image.png`). `json`,
`txt` and `cls` say what is known of it, `mask.png` and `seg.png` are its label map.
Whatever else a sample has means nothing here, and is counted.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, Final, NamedTuple

from transforms.annotations.label_maps import MapFile
from transforms.annotations.records.fields import annotation_of_fields
from transforms.annotations.records.record_set import Found
from transforms.annotations.records.splits import split_of_shard
from transforms.annotations.sources import Annotation
from transforms.elements import ImageError, ImageRef
from transforms.inputs.archives import ArchiveKind, Member, list_members
from transforms.inputs.folders import is_hidden
from transforms.inputs.reading import member_key, read_image
from transforms.inputs.roots import printable
from transforms.inputs.shards import find_shards
from transforms.storage.files import open_file
from transforms.storage.text import decode_text, shown

_PICTURES: Final = (
    *("jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff"),
    *("avif", "heic", "heif", "jxl", "jp2", "ppm", "pgm", "pbm", "pnm", "psd"),
)
_TEXTS: Final = ("json", "txt", "cls")
_MASKS: Final = ("mask.png", "seg.png")

# Files of classes that lie beside shards, a name on each line.
_CLASS_FILES: Final = ("labels.txt", "classes.txt")

# Samples in which the first annotation is looked for.
_LOOKED_AT: Final = 1000

# What is said of one picture are some kilobytes.
_MOST_BYTES: Final = 1 << 24


class SampleFile(NamedTuple):
    """A file of a sample.

    Attributes:
        ending: What follows the first dot of its name, in small letters.
        member: Where it is.
    """

    ending: str
    member: Member

    @property
    def is_picture(self) -> bool:
        """Whether its name ends as that of a picture."""
        return self.ending.rpartition(".")[2] in _PICTURES


def split_name(name: str) -> tuple[str, str]:
    """Return the name of a sample, and the ending of one of its files.

    >>> split_name("a.b/0001.mask.PNG"), split_name("./0001")
    (('a.b/0001', 'mask.png'), ('0001', ''))
    """
    folder, slash, file = member_key(name).rpartition("/")
    stem, _, ending = file.partition(".")
    return f"{folder}{slash}{stem}", ending.lower()


def pictures_of(files: Sequence[SampleFile]) -> list[SampleFile]:
    """Return the picture of a sample; several where it cannot be told which it is."""
    plain = [file for file in files if file.ending in _PICTURES]
    return plain or [
        file for file in files if file.is_picture and file.ending not in _MASKS
    ]


def is_webdataset(path: str) -> bool:
    """Return whether every sample of a tar has one picture, and some have annotations.

    A tar that holds anything else, or a thousand pictures before the first annotation,
    is an archive of pictures, and nothing in it is taken for an annotation.

    Raises:
        ValueError: It cannot be listed to its end.
    """
    told = False
    pictures: dict[str, bool] = {}  # a sample, and whether its picture was seen
    for member in list_members(path, ArchiveKind.TAR):
        if is_hidden(member.name):
            continue
        name, ending = split_name(member.name)
        file = SampleFile(ending, member)
        if file.is_picture:
            if pictures.get(name):
                return False
            pictures[name] = True
            if not told and len(pictures) > _LOOKED_AT:
                return False
        elif ending in _TEXTS:
            told = True
            pictures.setdefault(name, False)
        else:
            return False
    return told and all(pictures.values())


@dataclasses.dataclass(frozen=True)
class WebDataset:
    """Shards of WebDataset.

    Attributes:
        pattern: What was named: a shard, a folder of shards, or a pattern.
        shard_names: Whether keys begin with the name of the shard.
    """

    pattern: str
    shard_names: bool = True

    def records(
        self, source: str, found: Found
    ) -> Iterator[tuple[ImageRef, Annotation]]:
        """Yield the pictures and what is known of each, shard by shard.

        Raises:
            ValueError: There is no shard, or one cannot be listed to its end.
            OSError: One cannot be read.
        """
        shards = list(find_shards(self.pattern, (".tar",)))
        if names := _class_names(shards[0][1]):
            found.classes.labels, found.classes.named = names, True
        for name, path in shards:
            shard = printable(name)
            prefix = f"{shard}/" if self.shard_names else ""
            yield from _Shard(path, shard, prefix, source, found).records()


@dataclasses.dataclass
class _Shard:
    """One shard while it is read.

    Attributes:
        path: Its path.
        name: Its name, for messages.
        prefix: What keys begin with.
        source: Name of the input root.
        found: What was found beside the pictures.
    """

    path: str
    name: str
    prefix: str
    source: str
    found: Found

    def records(self) -> Iterator[tuple[ImageRef, Annotation]]:
        samples: dict[str, list[SampleFile]] = {}
        for member in list_members(self.path, ArchiveKind.TAR):
            if not is_hidden(member.name):
                name, ending = split_name(member.name)
                samples.setdefault(name, []).append(SampleFile(ending, member))
        split = split_of_shard(self.name)
        with open_file(self.path) as tar:
            for name, files in samples.items():
                yield from self._sample(tar, printable(name), files, split)

    def _sample(
        self, tar: IO[bytes], name: str, files: list[SampleFile], split: str
    ) -> Iterator[tuple[ImageRef, Annotation]]:
        pictures = pictures_of(files)
        others = [file for file in files if file not in pictures]
        endings = [file.ending for file in files]
        known = [f for f in others if f.ending in (*_TEXTS, *_MASKS)]
        for file in others:
            if file not in known:
                self.found.left_out[f".{file.ending}"] += 1
        if not pictures:
            if known:
                told = " and ".join(f".{file.ending}" for file in known)
                self.found.add_stray(
                    f"{self.name}: the sample {shown(name)} has {told} and no picture"
                )
            return
        problem = ""
        if known and len(pictures) > 1:
            problem = (
                f"its annotations, of the sample {shown(name)} of {self.name}, fit "
                f"{' and '.join(f'.{file.ending}' for file in pictures[:2])}"
            )
        elif known and len(set(endings)) < len(endings):
            twice = next(e for e in endings if endings.count(e) > 1)
            problem = (
                f"{self.name} has the sample {shown(name)} twice (two files .{twice}), "
                "so nobody knows which annotations are its own. Rename one"
            )
        said = Annotation(split=split)
        if problem:
            said = Annotation(problem=problem)
        else:
            # A name of a class before its number.
            order = (*_TEXTS, *_MASKS)
            for file in sorted(known, key=lambda file: order.index(file.ending)):
                said = self._said(said, tar, file)
        seen: dict[str, int] = {}
        for file in pictures:
            key = self.prefix + printable(member_key(file.member.name))
            number = seen[key] = seen.get(key, 0) + 1
            ref = self._ref(file, key if number == 1 else f"{key}#{number}")
            yield ref, said

    def _ref(self, file: SampleFile, key: str) -> ImageRef:
        _, stored, offset, size = file.member
        return ImageRef(key, self.source, self.path, stored, offset, size)

    def _said(self, said: Annotation, tar: IO[bytes], file: SampleFile) -> Annotation:
        """Return what is known of a picture with what a file of its sample says."""
        try:
            if file.ending in _MASKS:
                ref = self._ref(file, file.member.name)
                digest = hashlib.sha256(read_image(ref)).hexdigest()
                return dataclasses.replace(said, mask=MapFile(ref, b"", digest))
            text = decode_text(self._bytes(tar, file.member))
            fields = _fields(file.ending, text)
        except (ValueError, ImageError) as error:
            problem = error.message if isinstance(error, ImageError) else error
            told = f"its .{file.ending} cannot be used: {problem}"
            return dataclasses.replace(said, problem=said.problem or told)
        found = annotation_of_fields(fields, self.found.classes)
        return merged(said, found)

    def _bytes(self, tar: IO[bytes], member: Member) -> bytes:
        if member.offset < 0:
            raise ValueError("it is a link or a sparse file")
        if member.size > _MOST_BYTES:
            raise ValueError(f"{member.size} bytes; at most {_MOST_BYTES} are read")
        tar.seek(member.offset)
        data = tar.read(member.size)
        if len(data) < member.size:
            raise ValueError(
                f"the archive ends after {len(data)} of its {member.size} bytes"
            )
        return data


def merged(one: Annotation, other: Annotation) -> Annotation:
    """Return what two files say of one picture; of two that say it, the first counts.

    Its captions are those of both, each once.
    """
    nothing = Annotation()
    changes = {
        field.name: getattr(other, field.name)
        for field in dataclasses.fields(Annotation)
        if getattr(one, field.name) == getattr(nothing, field.name)
    }
    captions = tuple(dict.fromkeys((*one.captions, *other.captions)))
    wrong = (*one.wrong, *other.wrong)
    return dataclasses.replace(one, **{**changes, "captions": captions, "wrong": wrong})


def _fields(ending: str, text: str) -> Mapping[str, Any]:
    """Return what a file of a sample says, as fields.

    Raises:
        ValueError: It is not JSON, or JSON of something else than an object.
    """
    if ending == "cls":
        return {"label": text.strip()}
    if ending == "txt":
        return {"captions": [line.strip() for line in text.splitlines()]}
    try:
        found = json.loads(text, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"it is {shown(found)}, expected an object of JSON")
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError("a text has half a character (a lone surrogate)") from error
    return found


def _class_names(shard: str) -> list[str]:
    """Return the names of classes that lie beside a shard, or above it."""
    folder = shard.rpartition("/")[0]
    for place in (folder, folder.rpartition("/")[0]):
        for file in _CLASS_FILES:
            try:
                with open_file(f"{place}/{file}") as opened:
                    text = decode_text(opened.read(_MOST_BYTES))
            except (OSError, ValueError):
                continue
            return text.splitlines()
    return []
