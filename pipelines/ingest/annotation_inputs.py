"""Which files `ingest` takes annotations from, beside COCO's instances and captions."""

import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from pipelines.command.apart import list_apart
from pipelines.errors import UsageError
from pipelines.ingest.config import IngestConfig
from transforms.annotations.kinds import yolo
from transforms.annotations.kinds.annotation_files import AnnotationFiles
from transforms.annotations.sources import BESIDE
from transforms.elements import ImageRef
from transforms.inputs.listed import Listing
from transforms.inputs.roots import InputRoot, parse_inputs
from transforms.storage.files import read_file
from transforms.storage.text import decode_text

_JSON: Final = ".json"
_MAPS: Final = ("", ".zip")


class AnnotationInputs:
    """The files that were asked for; those beside the pictures come with the pictures.

    Args:
        config: What was asked for.

    Raises:
        UsageError: One of them cannot be used.
    """

    def __init__(self, config: IngestConfig) -> None:
        self.files = AnnotationFiles(config.kind if config.has_object_files else "")
        self._output = config.output
        self._identity: dict[str, Any] = {}
        # Folders and archives whose files are no pictures, by the ends of their names.
        self._places: list[tuple[str, str]] = []
        self._beside = {
            "objects": config.has_object_files and config.annotations == BESIDE,
            "masks": config.masks == BESIDE,
            "metadata": config.metadata == BESIDE,
        }
        files = self.files
        if config.data_yaml:
            self._use("--data-yaml", config.data_yaml, self._read_data)
        if config.has_object_files and config.annotations != BESIDE:
            add = files.add_objects
            self._walk("--annotations", config.annotations, files.ending, add)
        if config.masks not in ("", BESIDE):
            self._walk("--masks", config.masks, ".png", files.add_mask)
        if config.panoptic:
            self._use("--panoptic", config.panoptic, self._read_panoptic)
        if config.metadata not in ("", BESIDE):
            self._use("--metadata", config.metadata, self._read_table)

    def list_into(
        self, listing: Listing, roots: Sequence[InputRoot], output: str
    ) -> None:
        """Add the pictures of some roots to a listing, and take in what is beside them.

        Raises:
            ValueError: A root cannot be listed, or a table cannot be used.
            OSError: A root cannot be looked at.
        """
        for ref in list_apart(roots, output):
            if not self._is_annotation(ref) and not self.files.takes(ref, self._beside):
                listing.add(ref)
        self.files.finish()

    def identity(self) -> dict[str, Any]:
        """Return what decides the bytes of a data set, by the names of the flags."""
        files = self.files
        digests = {
            "annotations": files.objects,
            "masks": files.masks,
            "panoptic": files.panoptic,
            "metadata": files.metadata,
        }
        found = {name: kind.digest for name, kind in digests.items() if kind}
        return {**self._identity, **found}

    def _use(self, flag: str, place: str, read: Callable[[str], None]) -> None:
        try:
            read(place)
        except (ValueError, OSError, RuntimeError) as error:
            raise UsageError(f"{flag}: {error}") from error

    def _walk(
        self,
        flag: str,
        place: str,
        ending: str,
        add: Callable[[ImageRef, str], None],
    ) -> None:
        def read(place: str) -> None:
            found = 0
            for root in parse_inputs([place]):
                self._places.append((root.path, ending))
                for ref in list_apart([root], self._output):
                    if ref.key.lower().endswith(ending):
                        add(ref, ref.key)
                        found += 1
            if not found:
                raise ValueError(f"{place}: there is no {ending} file")

        self._use(flag, place, read)

    def _read_data(self, path: str) -> None:
        data = read_file(path)
        try:
            self.files.yolo_data = yolo.read_yolo_data(decode_text(data))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        self._identity["data-yaml"] = hashlib.sha256(data).hexdigest()

    def _read_panoptic(self, path: str) -> None:
        stem = path.removesuffix(_JSON)
        self.files.add_panoptic(path, _maps(stem, self._output))

    def _read_table(self, path: str) -> None:
        name = path.rpartition("/")[2]
        (root,) = parse_inputs([path])
        (ref,) = list_apart([root], self._output)
        self._places.append((path, name))
        self.files.add_table(dataclasses.replace(ref, key=name), name)

    def _is_annotation(self, ref: ImageRef) -> bool:
        name = ref.key.lower()
        return any(
            name.endswith(ending)
            and (ref.path == place or ref.path.startswith(f"{place}/"))
            for place, ending in self._places
        )


def _maps(stem: str, output: str) -> Iterator[tuple[str, ImageRef]]:
    """Yield the maps of a panoptic file: its folder or archive has its name."""
    for ending in _MAPS:
        try:
            roots = parse_inputs([stem + ending])
        except FileNotFoundError:
            continue
        for ref in list_apart(roots, output):
            yield ref.key, ref
        return
    name = os.path.basename(stem)
    raise FileNotFoundError(
        f"there are no maps beside it: a folder {name} or an archive {name}.zip"
    )
