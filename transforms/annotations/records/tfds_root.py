"""A TFDS data set as it lies on disk: its builder, its picture, its classes.

TensorFlow is imported late.
"""

import dataclasses
import os
from typing import Any

from transforms.inputs.listed import Listing


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
        names = class_names(builder)
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


def image_feature(builder: Any) -> str | None:
    """Return the name of the first feature that is an image."""
    import tensorflow_datasets as tfds

    for name, feature in builder.info.features.items():
        if type(feature) is tfds.features.Image:
            return str(name)
    return None


def class_names(builder: Any) -> list[str] | None:
    """Return the names of its classes of pictures; None where they are texts."""
    features = dict(builder.info.features.items())
    names = getattr(features.get("label"), "names", None)
    return list(names) if names else None
