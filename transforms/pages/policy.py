"""The Content-Security-Policy that a page carries, for whoever hands the page on.

A page says in its head what it may load (`render`). A server says it again in front of
the page, which holds from the first byte and forbids frames, as only a server can.
"""

import re
from typing import Final

HEAD_BYTES: Final = 4096
"""A page of ours has said its policy within so many bytes."""

NO_PAGE: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
)
"""Policy of what is no page of ours: it may load nothing and do nothing. Browsers put
styles of their own around a picture that is opened alone."""

_META: Final = re.compile(
    rb'<meta http-equiv="Content-Security-Policy" content="([ -!#-~]+)">'
)

# What pages of ours allow: themselves, their output, and nothing of the network.
_RULE: Final = re.compile(
    r"[a-z-]+-(?:src|uri|action)"
    r"(?: (?:'none'|'self'|data:|'sha256-[A-Za-z0-9+/]{43}='))+"
)
_NOTHING_ELSE: Final = "default-src 'none'"


def policy_of(head: bytes) -> str:
    """Return the policy to send in front of a page.

    Args:
        head: The first `HEAD_BYTES` of the page.

    Returns:
        Its own, which may be in no frame besides; `NO_PAGE` where it has none, or one
        that is not as pages of ours have it.

    >>> policy_of(b"<h1>Hello</h1>") == NO_PAGE
    True
    """
    match = _META.search(head)
    if match is None:
        return NO_PAGE
    policy = match[1].decode("ascii")
    rules = policy.split("; ")
    if _NOTHING_ELSE not in rules or not all(map(_RULE.fullmatch, rules)):
        return NO_PAGE
    return f"{policy}; frame-ancestors 'none'"
