"""What a request may ask for: which hosts are this machine, which names are files.

A browser sends whatever a page tells it to. So a name is taken apart once, and only a
plain one is a file of the output; and a request that was sent to another host is not
for us, although it arrived here: that is how a page of the internet would read what is
on this machine (DNS rebinding).
"""

import os
import re
import urllib.parse
from typing import Final

from transforms.inputs.folders import is_hidden

# With any port: the one here may be the end of a tunnel that begins at another.
_OWN_HOST: Final = re.compile(r"(127\.0\.0\.1|localhost)(:\d{1,5})?", re.ASCII | re.I)

# A character out of a percent sign is two digits and nothing else.
_HALF_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


class BadAddressError(ValueError):
    """A request asks for something that is no address of a file at all."""


def is_own_host(host: str | None) -> bool:
    """Return whether a request for a host is one for this server.

    Args:
        host: The header `Host`; None where there is none.

    >>> is_own_host("127.0.0.1:8000"), is_own_host("evil.example:8000")
    (True, False)
    """
    return host is not None and _OWN_HOST.fullmatch(host) is not None


def name_of(target: str) -> str | None:
    """Return the name in an output that a request asks for; empty for the output.

    Args:
        target: What stands behind GET, as it came.

    Returns:
        None where it can be the name of nothing that is shown: it has a part that is
        empty, leads up, or begins with a dot, as all have that a job keeps to itself.

    Raises:
        BadAddressError: It is no path, or its escapes are no text.

    >>> name_of("/images/a%20b.jpg?x=1"), name_of("/images/%2e%2e/b.jpg")
    ('images/a b.jpg', None)
    """
    path = target.partition("?")[0]
    if not path.startswith("/") or _HALF_ESCAPE.search(path):
        raise BadAddressError(target)
    try:
        # What stands for itself is ASCII; anything else was to be escaped.
        name = urllib.parse.unquote_to_bytes(path.encode("ascii")).decode("utf-8")[1:]
    except UnicodeError as error:
        raise BadAddressError(target) from error
    if any(ord(character) < ord(" ") for character in name):
        raise BadAddressError(target)
    if not name:
        return ""
    parts = name.split("/")
    return name if all(map(_is_plain, parts)) and not is_hidden(name) else None


def _is_plain(part: str) -> bool:
    # A name may have a backslash, or a colon, where these are letters like others.
    strange = os.sep == "\\" and set(part) & {"\\", ":"}
    return part not in ("", ".", "..") and not strange
