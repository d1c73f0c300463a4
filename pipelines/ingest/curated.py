"""What `ingest` finds out before it begins about which pictures are wanted, and how."""

import hashlib
from collections.abc import Sequence
from typing import Any

from pipelines.errors import UsageError
from pipelines.ingest.config import IngestConfig
from transforms.annotations.class_map import ClassMap, read_class_map
from transforms.ingest.filters import check_labels, parse_filter
from transforms.storage.files import read_file


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
