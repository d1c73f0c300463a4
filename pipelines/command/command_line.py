"""The command line that made an output, as its data card tells it.

Only what decides what is made: neither where nor how a job ran, and of a path the last
part alone, so that the same job gives the same text everywhere.
"""

import os
import posixpath
import shlex
import sys
from typing import Any, Final

from model.options import Option, options_of
from pipelines.command.flags import flag_of
from transforms.buckets.places import is_remote
from transforms.descriptions.data_card import README, has_card
from transforms.inputs.roots import TFDS, printable, split_name, split_scheme
from transforms.storage.folder import OutputFolder

# What changes nothing of what is made.
_LEFT_OUT: Final = frozenset(
    {
        "output",
        "overwrite",
        "dry_run",
        "retry_failed",
        "max_failure_rate",
        "style_bank",
        "max_tile_pixels",
    }
)


def command_line(command: str, config: Any) -> str:
    """Return the command line of a configuration.

    Args:
        command: Name of the command.
        config: Its configuration.
    """
    words = [f"stylebeam {command}"]
    kind: type = type(config)
    for name, about in options_of(kind).items():
        value = getattr(config, name)
        if not isinstance(about, Option) or name in _LEFT_OUT or value is None:
            continue
        if about.required or value != about.default:
            words.append(_text(flag_of(name), about, value))
    return " ".join([*words, "--output OUT"])


def _text(flag: str, about: Option, value: Any) -> str:
    if about.type is bool:
        return flag
    texts = [_shown(one, about) for one in (value if about.many else (value,))]
    if about.path:
        # Pictures do not depend on the order of inputs, and neither does a card.
        texts.sort()
    if about.many and about.read:
        texts = [",".join(texts)]
    return " ".join([flag, *map(shlex.quote, texts)])


def _shown(value: Any, about: Option) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    if not about.path or text in about.words:
        return printable(text)
    name, path = split_name(text)
    scheme, place = split_scheme(path)
    if scheme == TFDS and not os.path.isabs(place):
        return text  # The name of a data set.
    # As seen from anywhere: workers know a local path by its whole name.
    place = place if is_remote(place) else os.path.abspath(place)
    begin = f"{name}={scheme}" if name else scheme
    return printable(begin + posixpath.basename(place.rstrip("/")))


def tell_card(command: str, output: OutputFolder) -> None:
    """Say that there is no data card, where somebody's README.md is in its place."""
    if not has_card(output):
        print(
            f"{command}: {output.path(README)} is not stylebeam's, so it stays as it "
            "is, and there is no data card",
            file=sys.stderr,
        )
