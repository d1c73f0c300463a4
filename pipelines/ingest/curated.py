"""What `ingest` finds out before it begins about which pictures are wanted, and how."""

import hashlib
import sys
from collections.abc import Sequence
from typing import Any

from pipelines.errors import UsageError
from pipelines.ingest.config import IngestConfig
from transforms.annotations.class_map import ClassMap, read_class_map
from transforms.ingest.copies import COPIES
from transforms.ingest.filters import check_labels, parse_filter
from transforms.ingest.finish import INGEST
from transforms.storage.files import read_file
from transforms.storage.folder import OutputFolder


def find_class_map(config: IngestConfig) -> ClassMap | None:
    """Return the class map that was asked for; None without one.

    Raises:
        UsageError: It cannot be used.
    """
    if not config.class_map:
        return None
    try:
        return read_class_map(config.class_map)
    except (ValueError, OSError, RuntimeError) as error:
        raise UsageError(f"--class-map: {error}") from error


def parsed_filters(config: IngestConfig, classes: Sequence[str]) -> tuple[str, ...]:
    """Return the conditions that were given, each once, in an order of their own.

    Args:
        config: What was asked for.
        classes: The classes of the data set; none where labels are not known yet.

    Raises:
        UsageError: A label is none of them.
    """
    filters = [parse_filter(text) for text in config.filter]
    if classes:
        try:
            check_labels(filters, classes)
        except ValueError as error:
            raise UsageError(f"--filter {error}") from error
    return tuple(sorted({one.text for one in filters}))


def curated_identity(config: IngestConfig, filters: Sequence[str]) -> dict[str, Any]:
    """Return what decides the bytes of a data set besides, where it was asked for."""
    found: dict[str, Any] = {}
    if config.class_map:
        data = read_file(config.class_map)
        found["class-map"] = hashlib.sha256(data).hexdigest()
    if filters:
        found["filter"] = list(filters)
    if config.near_duplicates != "keep":
        found["near-duplicates"] = config.near_duplicates
    return found


def tell_copies(output: OutputFolder) -> None:
    """Say how many copies of a finished data set contradict others, if any do."""
    found = output.read_json(INGEST).get("copies", {})
    texts = {
        "across_splits": "are in another split",
        "of_two_classes": "are of another class",
    }
    told = [f"{found[name]} {text}" for name, text in texts.items() if found.get(name)]
    if told:
        print(
            f"ingest: of the pictures with equal bytes {' and '.join(told)} than the "
            f"first of them; all stay, and {output.path(COPIES)} names them",
            file=sys.stderr,
        )
