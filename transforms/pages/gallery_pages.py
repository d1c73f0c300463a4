"""The pages that jobs write for people: HTML templates, and galleries of scripts.

A gallery opens from disk, and a document opened from disk may load scripts and pictures
but may not fetch data. So each part of a table becomes scripts of its own, and one
index, small whatever the number of pictures, knows their names.
"""

import dataclasses
import functools
import json
import math
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

import apache_beam as beam
import jinja2
from apache_beam.pvalue import PCollection
from apache_beam.transforms.combiners import ToList

from transforms.storage.folder import OutputFolder

INDEX: Final = "gallery/index.html"

# JSON text is script text once these are escaped: no name can end the element, open
# a comment or break the line. All of them occur inside JSON strings only.
_SCRIPT_ESCAPES: Final = str.maketrans(
    {character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}
)


def script_json(value: Any) -> str:
    r"""Return canonical compact JSON that is safe inside a script element.

    >>> script_json({"b": "</script>", "a": 1})
    '{"a":1,"b":"\\u003c/script\\u003e"}'
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.translate(_SCRIPT_ESCAPES)


def make_environment() -> jinja2.Environment:
    """Return an environment for `transforms/pages/templates` that escapes values.

    Whoever has filters of its own adds them.
    """
    return jinja2.Environment(
        loader=jinja2.PackageLoader("transforms.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


@functools.cache
def _environment() -> jinja2.Environment:
    environment = make_environment()
    environment.filters["bytes"] = _human_bytes
    environment.filters["number"] = "{:,}".format
    return environment


def _human_bytes(size: int) -> str:
    """Return a size for people.

    >>> _human_bytes(999), _human_bytes(56_500_000)
    ('999 B', '56.5 MB')
    """
    if size < 1000:
        return f"{size} B"
    power = min(4, int(math.log10(size) // 3))
    return f"{size / 1000**power:.3g} {'kMGT'[power - 1]}B"


def template(name: str) -> jinja2.Template:
    """Return a template of `transforms/pages/templates`, which escapes values."""
    return _environment().get_template(name)


def write_index_page(
    output: OutputFolder, html: bytes, folder: str, wanted: Collection[str]
) -> str:
    """Write the index of a gallery, then remove the scripts of earlier runs.

    Args:
        output: Where to.
        html: The index.
        folder: Of the scripts.
        wanted: Names of those that the index knows.

    Returns:
        The name of the index.
    """
    output.write(INDEX, html)
    # Only now: the index that a kill leaves never names a script that is gone.
    for name in sorted(set(output.names(folder)) - set(wanted)):
        output.delete(name)
    return INDEX


@dataclasses.dataclass
class WritePages(beam.PTransform[PCollection[str], PCollection[str]]):
    """Each part of a table becomes scripts of a gallery; all of them, one index.

    The parts are taken as they come, one element a part, so the scripts are written
    wherever the parts were.

    Input: names of parts inside the output folder, bounded. Output: the name of the
    index, once it is written; also for no part at all. Idempotent.

    Attributes:
        output: The folder of the job; its table must be complete.
        write_part: Writes the scripts of a part, yields what the index says of each.
        write_index: Writes the index of all that was yielded, returns its name.
    """

    output: OutputFolder
    write_part: Callable[[str, OutputFolder], Iterator[Any]]
    write_index: Callable[[list[Any], OutputFolder], str]

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, parts: PCollection[str]) -> PCollection[str]:
        """Wire the scripts, then the index."""
        return (
            parts
            | "WriteParts" >> beam.FlatMap(self.write_part, self.output)
            | "Collect" >> ToList()
            | "WriteIndex"
            >> beam.Map(self.write_index, self.output).with_output_types(str)
        )
