"""Reads the pictures of a TFDS data set; ours are TFDS data sets too.

This is the only place where ingest needs TensorFlow, which is imported late.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import PBegin, PCollection

from transforms.annotations.coco_objects import id_of
from transforms.annotations.records.tfds_root import (
    TfdsRoot,
    class_names,
    image_feature,
)
from transforms.annotations.sources import Annotation, SourceImage
from transforms.elements import ImageRef
from transforms.inputs.roots import TFDS


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
        names = class_names(builder)
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
    ref = ImageRef(key, root.name, f"{TFDS}{root.name}", size=len(data))
    return SourceImage(ref, data, annotation)


def _plain(value: Any) -> Any:
    """Return a scalar of NumPy as the number that it is."""
    return value.item() if isinstance(value, np.generic) else value


def _text(value: Any) -> str:
    r"""Return the text of a feature, a byte that is no UTF-8 as `\xNN`; '' for none."""
    # So nothing is lost, and two keys stay two.
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else ""
