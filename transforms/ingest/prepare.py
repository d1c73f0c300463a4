"""Source files -> records ready to be copied, in one step that no bytes leave.

Reading, hashing, decoding, resizing and encoding are fused; each bundle appends its
records to one spill file in the temporary folder of the output. What goes on is where
in that file a record is.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Collection, Iterator
from typing import Any, Final, NamedTuple

import apache_beam as beam
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import PCollection, TaggedOutput

from transforms.annotations.annotation_index import read_annotation
from transforms.annotations.dataset_layout import (
    DatasetSettings,
    shard_of_row,
    split_of,
)
from transforms.annotations.sources import Annotation, SourceImage
from transforms.elements import LEFT_OUT_REASONS, ImageError, ImageRef, ImageStatus
from transforms.images.decoder import decode_image, encode_image
from transforms.images.passthrough import EncodedFormat, format_to_keep
from transforms.images.perceptual_hash import is_flat, perceptual_hash
from transforms.ingest.filters import LABEL, Filter, parse_filter
from transforms.ingest.group_near import WAITING
from transforms.ingest.labelled import (
    columns_of,
    features_of,
    map_places,
    placed,
)
from transforms.ingest.rejected_examples import RejectedExample, rejected_example
from transforms.ingest.spill import Look, PreparedImage, SpillFile
from transforms.ingest.whole_shards import committed_keys
from transforms.inputs.reading import read_image
from transforms.steps.one_behind import in_global_window
from transforms.steps.outcome import tell_failure
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row
from transforms.storage.parts import stable_part
from transforms.storage.segments import Segment, SegmentWriter
from transforms.storage.tfrecords import encode_example, frame_record
from transforms.storage.worker_progress import progress_of

# Tags of the outputs inside.
_REJECTED: Final = "rejected"
_EXAMPLES: Final = "examples"


def prepare_image(
    source: SourceImage, data: bytes, settings: DatasetSettings
) -> PreparedImage:
    """Turn the bytes of a source into a record and its row.

    Raises:
        ImageError: The image is rejected or left out.
        OSError: A file of annotations cannot be read.
    """
    decoded = decode_image(
        data,
        max_pixels=settings.max_pixels,
        min_side=settings.min_side,
        size=settings.size or None,
    )
    for one in _filters(settings.filters):
        one.check_size(decoded.original_width, decoded.original_height)
    height, width, _ = decoded.pixels.shape
    kept: EncodedFormat | None = None
    if settings.encode == "keep" and (height, width) == (
        decoded.original_height,
        decoded.original_width,
    ):
        kept = format_to_keep(data)
    if kept:
        image, format = data, kept
    else:
        format = "png" if settings.encode == "png" else "jpeg"
        image = encode_image(
            decoded.pixels, "png" if format == "png" else "jpg", settings.quality
        )
    annotation = placed(_known(source, settings), decoded, settings)
    sha256 = hashlib.sha256(data).hexdigest()
    # Feature and column have the same name.
    both = {
        "key": source.ref.key,
        "source": source.ref.source,
        "sha256": sha256,
        "height": height,
        "width": width,
        "original_height": decoded.original_height,
        "original_width": decoded.original_width,
        "label": annotation.label,
        "artist": annotation.artist,
        "title": annotation.title,
        "captions": list(annotation.captions),
        "coco_id": annotation.coco_id,
    }
    more = features_of(annotation, height, width, settings)
    example = encode_example({**both, **more}, image)
    own = split_of(source.ref, settings.split_from, annotation.split)
    split, shard = settings.place(sha256, own)
    row = {
        **both,
        **(columns_of(annotation) if settings.version > 1 else {}),
        "id": source.ref.id,
        "status": str(ImageStatus.ACCEPTED),
        "source_bytes": len(data),
        "perceptual_hash": perceptual_hash(decoded.pixels),
        "format": format,
        "encoding": "kept" if kept else "encoded",
        "split": split,
        "shard": shard,
        "image_length": len(image),
        **map_places(annotation, example.offsets),
    }
    look = None
    if settings.groups_near_duplicates:
        pixels = decoded.original_width * decoded.original_height
        row["flat"] = is_flat(decoded.pixels)
        look = Look(row["perceptual_hash"], pixels, row["flat"], own or "")
    return PreparedImage(row, frame_record(example.data), example.image_offset, look)


def _known(source: SourceImage, settings: DatasetSettings) -> Annotation:
    """Return what is known of a source, with classes where there is a map of them.

    Raises:
        ImageError: bad_annotation: it cannot be used.
    """
    annotation = source.annotation
    if annotation is None:
        annotation = settings.annotations.of(source.ref.key)
    annotation = annotation.checked()
    return settings.class_map.applied(annotation) if settings.class_map else annotation


@functools.lru_cache(maxsize=4)
def _filters(texts: tuple[str, ...]) -> tuple[Filter, ...]:
    return tuple(map(parse_filter, texts))


def check_label(source: SourceImage, settings: DatasetSettings) -> None:
    """Check the label of a source by the filters, before its bytes are read.

    Raises:
        ImageError: filtered: its label is not wanted.
    """
    filters = [one for one in _filters(settings.filters) if one.what == LABEL]
    if not filters:
        return
    try:
        annotation = _known(source, settings)
    except ImageError:
        return  # It fails later, and its row tells of its bytes.
    for one in filters:
        one.check_label(annotation.label)


def rejected_row(ref: ImageRef, data: bytes | None, error: ImageError) -> Row:
    """Return the row of the manifest for an image that is rejected or left out."""
    left_out = error.reason in LEFT_OUT_REASONS
    row: Row = {
        "key": ref.key,
        "id": ref.id,
        "source": ref.source,
        "status": str(ImageStatus.LEFT_OUT if left_out else ImageStatus.REJECTED),
        "reason": str(error.reason),
        "message": error.message,
    }
    if data is not None:
        row["sha256"] = hashlib.sha256(data).hexdigest()
        row["source_bytes"] = len(data)
    return row


class Prepared(NamedTuple):
    """What `PrepareImages` gives back.

    Attributes:
        records: (name of the shard, where it is told where records are) of the accepted
            images: rows of `SpilledRecord`. Where near-duplicates are grouped, the name
            is `WAITING`, and rows have `look` besides.
        rejected: (part of the manifest, where rows are) of the images that are rejected
            or left out.
        examples: What the report shows of each of these.
    """

    records: PCollection[tuple[str, Segment]]
    rejected: PCollection[tuple[int, Segment]]
    examples: PCollection[RejectedExample]


@dataclasses.dataclass
class PrepareImages(beam.PTransform[PCollection[SourceImage], Prepared]):
    """Each source becomes a record in a spill file, or a rejected row.

    Input: `SourceImage`. Output: `Prepared`. An image that an earlier run has in a
    shard that is whole is passed over. Idempotent: a retried bundle writes files of its
    own. Metrics: `images_accepted`, `images_rejected`, `images_left_out`,
    `images_committed`.

    Attributes:
        output: The data set.
        settings: Settings of the data set.
        committed: Names of the shards that are whole.
        parts: How many parts the manifest has.
    """

    output: OutputFolder
    settings: DatasetSettings
    committed: Collection[str]
    parts: int

    def expand(self, sources: PCollection[SourceImage]) -> Prepared:
        """Prepare the images, and part the accepted from the rejected."""
        prepare = _PrepareDoFn(self.output, self.settings, self.committed, self.parts)
        prepared = sources | "PrepareImage" >> beam.ParDo(prepare).with_outputs(
            _REJECTED, _EXAMPLES, main="records"
        )
        return Prepared(prepared.records, prepared[_REJECTED], prepared[_EXAMPLES])


class _PrepareDoFn(beam.DoFn):
    def __init__(
        self,
        output: OutputFolder,
        settings: DatasetSettings,
        committed: Collection[str],
        parts: int,
    ) -> None:
        self._output = output
        self._settings = settings
        self._shards = committed
        self._parts = parts
        self._committed: frozenset[str] = frozenset()
        self._metric = {
            what: Metrics.counter("PrepareImages", f"images_{what}")
            for what in ("accepted", "rejected", "left_out", "committed")
        }

    def setup(self) -> None:
        if self._shards:
            self._committed = committed_keys(self._output, self._settings, self._shards)

        self._spill: SpillFile | None = None

    def start_bundle(self) -> None:
        self._discard()
        self._records: SegmentWriter[str] = SegmentWriter(self._output)
        self._rejected: SegmentWriter[int] = SegmentWriter(self._output)

    def process(self, source: SourceImage) -> Iterator[Any]:
        yield from self._prepare(source)

    def _prepare(self, source: SourceImage) -> Iterator[Any]:
        progress = progress_of(self._output)
        if source.ref.key in self._committed:
            self._metric["committed"].inc()
            progress.add(images_kept=1)
            return
        data = source.data
        source = self._annotated(source)
        try:
            check_label(source, self._settings)
            if data is None:
                data = read_image(source.ref)
            prepared = prepare_image(source, data, self._settings)
        except ImageError as error:
            row = rejected_row(source.ref, data, error)
            if row["status"] == ImageStatus.LEFT_OUT:
                self._metric["left_out"].inc()
                progress.add(images_done=1)
            else:
                self._metric["rejected"].inc()
                tell_failure(error.reason)
                progress.add(images_failed=1)
            if self._settings.version > 1:
                about = source.annotation
                row["annotations"] = 0 if about is None else about.given
            part = stable_part(row["key"], self._parts)
            for written in self._rejected.add(part, row):
                yield TaggedOutput(_REJECTED, written)
            yield TaggedOutput(_EXAMPLES, rejected_example(row, data))
            return
        if self._spill is None:
            self._spill = SpillFile(self._output)
        spilled = self._spill.append(prepared)
        self._metric["accepted"].inc()
        progress.add(images_done=1)
        record = dataclasses.asdict(spilled)
        if prepared.look is None:
            shard = shard_of_row(self._settings, prepared.row)
        else:
            shard, record["look"] = WAITING, tuple(prepared.look)
        yield from self._records.add(shard, record)

    def _annotated(self, source: SourceImage) -> SourceImage:
        """Return a source with what the annotation files say, if there are any."""
        known = self._settings.annotations.has_files or source.ref.about
        if source.annotation is not None or not known:
            return source
        found = read_annotation(self._output, source.ref.about)
        return dataclasses.replace(source, annotation=found)

    def finish_bundle(self) -> Iterator[Any]:
        # The records count only once the bundle is committed, which is after this.
        if self._spill is not None:
            self._spill.close()
            self._spill = None
        for record in self._records.flush():
            yield in_global_window(record)
        for row in self._rejected.flush():
            yield TaggedOutput(_REJECTED, in_global_window(row))
        progress_of(self._output).flush()

    def teardown(self) -> None:
        self._discard()

    def _discard(self) -> None:
        """Let go of what a bundle left that failed."""
        if self._spill is not None:
            self._spill.discard()
            self._spill = None
