"""The data card and Croissant of a data set of `ingest`."""

from collections.abc import Mapping
from typing import Any, Final

from transforms.annotations.dataset_layout import DatasetSettings
from transforms.descriptions.croissant import (
    CROISSANT,
    INTEGER,
    PARQUET,
    TEXT,
    Field,
    Files,
    Records,
    croissant,
)
from transforms.descriptions.data_card import DataCard, write_card
from transforms.ingest.survey import Survey
from transforms.storage.folder import OutputFolder

_ROWS: Final = "manifest"

_MANIFEST: Final = (
    "`manifest/*.parquet` has a row for each input: where its picture is in a shard, "
    "and what is known of it; those with another status than `accepted` have none."
)

_READERS: Final = (
    '`tfds.builder_from_directory("OUT").as_dataset(split=…)` reads the shards.',
    _MANIFEST,
)

_RIGHTS: Final = (
    "These are the licences of the pictures, as far as the inputs told them. Where "
    "none is known, that of the collection that they are from holds."
)

_FIELDS: Final = (
    Field("key", "name of the input", TEXT, "key"),
    Field("status", "accepted, duplicate or rejected", TEXT, "status"),
    Field("sha256", "sha256 of the input", TEXT, "sha256"),
    Field("width", "pixels of the picture", INTEGER, "width"),
    Field("height", "pixels of the picture", INTEGER, "height"),
    Field("label", "class, '' when none", TEXT, "label"),
    Field("artist", "who made it, '' when not known", TEXT, "artist"),
    Field("title", "what it is called, '' when not known", TEXT, "title"),
    Field("captions", "sentences about it", TEXT, "captions", repeated=True),
    Field("split", "train, val or test", TEXT, "split"),
    Field("shard", "number of its shard in the split", INTEGER, "shard"),
    Field("image_offset", "byte in the shard it begins at", INTEGER, "image_offset"),
    Field("image_length", "bytes of the picture", INTEGER, "image_length"),
)

_LABELLED_FIELDS: Final = (
    Field("label_index", "number of the class, -1 when none", INTEGER, "label_index"),
    Field("license", "licence, '' when not known", TEXT, "license"),
    Field("license_url", "where to read it", TEXT, "license_url"),
    Field("url", "where the picture is from", TEXT, "url"),
)


def write_descriptions(
    output: OutputFolder,
    settings: DatasetSettings,
    identity: Mapping[str, Any],
    survey: Survey,
    command: str,
) -> None:
    """Write the data card, unless somebody's README.md is there, and Croissant.

    Args:
        output: The data set.
        settings: Settings of the data set.
        identity: What decides its bytes.
        survey: What its manifest holds.
        command: The command line that made it; '' where nobody knows.

    Raises:
        OSError: A file cannot be written.
    """
    card = _card(settings, identity, survey, command)
    write_card(output, card)
    output.write_json(CROISSANT, _croissant(settings, card))


def _card(
    settings: DatasetSettings,
    identity: Mapping[str, Any],
    survey: Survey,
    command: str,
) -> DataCard:
    splits = {
        split: sum(n for (found, _), n in survey.images.items() if found == split)
        for split in settings.splits
    }
    # What is told in tables of its own.
    told = ("classes", "categories")
    facts = {name: identity[name] for name in sorted(identity) if name not in told}
    return DataCard(
        title=settings.name,
        summary=(
            f"{survey.accepted} pictures of {survey.total} inputs, ingested by "
            "stylebeam; copies and what could not be read are left out."
        ),
        splits={split: count for split, count in splits.items() if count},
        classes=survey.classes if survey.labels else {},
        rights=survey.rights,
        about_rights=_RIGHTS,
        facts={**facts, "fingerprint": settings.fingerprint},
        command=command,
        files=_READERS,
    )


def _croissant(settings: DatasetSettings, card: DataCard) -> dict[str, Any]:
    files = [
        Files(_ROWS, "a row for each input", "manifest/*.parquet", PARQUET),
        Files(
            "shards",
            "records, as TFDS reads them",
            f"{settings.name}-*.tfrecord-*",
            "application/x-tfrecord",
        ),
    ]
    more = _LABELLED_FIELDS if settings.version > 1 else ()
    records = [Records("pictures", _MANIFEST, _ROWS, (*_FIELDS, *more))]
    licenses = sorted({url or name for name, url in card.rights if url or name})
    return croissant(settings.name, card.summary, licenses, files, records)
