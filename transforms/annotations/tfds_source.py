"""Reads the pictures of a TFDS data set; ours are TFDS data sets too.

This is the only place where ingest needs TensorFlow, which is imported late.
"""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, Final

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import PBegin, PCollection

from transforms.annotations.coco_objects import id_of
from transforms.annotations.sources import Annotation, SourceImage
from transforms.buckets.places import is_remote
from transforms.elements import ImageRef
from transforms.inputs.listing import Listing

SCHEME: Final = "tfds:"

_MARK: Final = "ingest.json"


@dataclasses.dataclass(frozen=True, slots=True)
class TfdsRoot:
    """A TFDS data set as an input root.

    Attributes:
        name: Name of the root.
        builder: Name for `tfds.builder`, or the folder of a data set.
        prefix: What every key begins with: empty, or the name and a slash.
    """

    name: str
    builder: str
    prefix: str = ""

    def load(self) -> Any:
        """Return the builder.

        Raises:
            ValueError: There is no such data set, or it has no pictures.
        """
        import tensorflow_datasets as tfds

        try:
            if os.sep in self.builder and os.path.isdir(self.builder):
                builder = tfds.builder_from_directory(self.builder)
            else:
                builder = tfds.builder(self.builder)
        except (tfds.core.DatasetNotFoundError, FileNotFoundError, ValueError) as error:
            # More lines list all data sets that there are.
            first = str(error).strip().split("\n")[0]
            raise ValueError(
                f"there is no TFDS data set {self.builder!r}: {first} Give the name "
                "of one that TFDS knows, or the folder of one that was generated"
            ) from error
        if not builder.info.splits.total_num_examples:
            raise ValueError(
                f"the TFDS data set {self.builder!r} is not in {builder.data_dir}. "
                f"Generate it first: tfds build {self.builder}"
            )
        if image_feature(builder) is None:
            raise ValueError(
                f"the TFDS data set {self.builder!r} has no feature that is an image: "
                f"{', '.join(builder.info.features)}"
            )
        return builder

    def folder(self) -> str:
        """Return the folder that the data set is read from.

        Raises:
            ValueError: There is no such data set, or it has no pictures.
        """
        return str(self.load().data_dir)

    def classes(self) -> list[str]:
        """Return the names of its classes in the order of their numbers.

        Raises:
            ValueError: It has labels whose names are not known before it is read.
        """
        builder = self.load()
        names = _class_names(builder)
        if names is None and "label" in builder.info.features:
            raise ValueError(
                f"the labels of {self.builder!r} are texts, so their numbers are not "
                "known before it is read. Ingest its pictures from their folders, or "
                "without --labels, --instances, --split-from and --near-duplicates; or "
                "give a --class-map, which numbers the classes"
            )
        return names or []

    def split_sizes(self) -> list[tuple[str, int]]:
        """Return its splits, and how many bytes of records each has."""
        splits = sorted(self.load().info.splits.items())
        return [(str(name), info.num_bytes) for name, info in splits]

    def list_into(self, listing: Listing) -> None:
        """Add the pictures to a listing; they are read from the data set itself.

        Raises:
            ValueError: The data set cannot be read.
        """
        builder = self.load()
        for split, info in sorted(builder.info.splits.items()):
            name = f"{self.prefix}{builder.info.full_name}:{split}"
            listing.add_unlisted(name, info.num_examples, info.num_bytes)


def is_dataset_folder(path: str) -> bool:
    """Return whether a folder holds a data set of ours."""
    return not is_remote(path) and os.path.isfile(os.path.join(path, _MARK))


def image_feature(builder: Any) -> str | None:
    """Return the name of the first feature that is an image."""
    import tensorflow_datasets as tfds

    for name, feature in builder.info.features.items():
        if type(feature) is tfds.features.Image:
            return str(name)
    return None


@dataclasses.dataclass
class ReadTfdsImages(beam.PTransform[PBegin, PCollection[SourceImage]]):
    """Reads the encoded pictures of a TFDS data set, all its splits.

    Input: the pipeline. Output: bounded PCollection of `SourceImage` with their bytes,
    which go no further than the steps fused to this one. The key is the feature `key`
    where there is one (a data set of ours), else `<split>/<id>` with the id that TFDS
    gives, unique and the same in every run. Label, artist, title and captions are taken
    over where there are features of these names.

    Attributes:
        root: The data set.
    """

    root: TfdsRoot

    def expand(self, pbegin: PBegin) -> PCollection[SourceImage]:
        """Read each split, and make inputs of its examples."""
        import tensorflow_datasets as tfds

        builder = self.root.load()
        image = image_feature(builder)
        names = _class_names(builder)
        splits = []
        for split in sorted(builder.info.splits):
            title = split.title()
            examples = pbegin | f"Read{title}" >> tfds.beam.ReadFromTFDS(
                builder,
                split=split,
                decoders={image: tfds.decode.SkipDecoding()},
                read_config=tfds.ReadConfig(add_tfds_id=True),
            )
            splits.append(
                examples
                | f"Take{title}"
                >> beam.Map(_take, self.root, split, image, names).with_output_types(
                    SourceImage
                )
            )
        return splits | "AllSplits" >> beam.Flatten()


def _class_names(builder: Any) -> list[str] | None:
    features = dict(builder.info.features.items())
    names = getattr(features.get("label"), "names", None)
    return list(names) if names else None


def _take(
    example: Mapping[str, Any],
    root: TfdsRoot,
    split: str,
    image: str,
    names: list[str] | None,
) -> SourceImage:
    """Turn an example, its picture still encoded, into an input."""
    import tensorflow_datasets as tfds

    values = tfds.as_numpy(dict(example))
    own = _text(values.get("key"))
    key = root.prefix + (own or f"{split}/{values['tfds_id'].decode()}")
    label = values.get("label")
    if names is not None and label is not None:
        label = names[int(label)].encode() if int(label) >= 0 else b""
    captions = values.get("captions")
    if isinstance(captions, Mapping):
        captions = captions.get("text")
    data = values[image]
    annotation = Annotation(
        label=_text(label),
        artist=_text(values.get("artist")),
        title=_text(values.get("title")),
        captions=tuple(map(_text, captions if captions is not None else ())),
        coco_id=id_of(_plain(values.get("coco_id", values.get("image/id")))),
        split=split,
    )
    ref = ImageRef(key, root.name, f"{SCHEME}{root.name}", size=len(data))
    return SourceImage(ref, data, annotation)


def _plain(value: Any) -> Any:
    """Return a scalar of NumPy as the number that it is."""
    return value.item() if isinstance(value, np.generic) else value


def _text(value: Any) -> str:
    r"""Return the text of a feature, a byte that is no UTF-8 as `\xNN`; '' for none."""
    # So nothing is lost, and two keys stay two.
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else ""
