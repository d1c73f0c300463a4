"""The policy in front of a page: its own, and no other's."""

import pytest

from transforms.pages.policy import HEAD_BYTES, NO_PAGE, policy_of
from transforms.pages.render import render
from transforms.stylize.gallery import index_html

OWN = (
    "default-src 'none'; img-src 'self' data:; style-src 'sha256-{0}='; "
    "script-src 'self' 'sha256-{0}='; base-uri 'none'; form-action 'none'"
).format("aB+/" * 10 + "xyz")


def meta(policy):
    return f'<meta http-equiv="Content-Security-Policy" content="{policy}">'.encode()


def test_a_page_keeps_its_own_policy():
    assert policy_of(b"<head>" + meta(OWN)) == f"{OWN}; frame-ancestors 'none'"


@pytest.mark.parametrize(
    "page",
    [
        index_html("t", "0", []),
        index_html("t", "0", [], previews=False),
        render("message.html", title="t", message="m", way_back=True),
    ],
)
def test_pages_say_it_early_and_in_a_way_that_is_known(page):
    found = policy_of(page[:HEAD_BYTES])
    assert found != NO_PAGE
    assert found.removesuffix("; frame-ancestors 'none'").encode() in page


@pytest.mark.parametrize(
    "policy",
    [
        "",
        "img-src 'self'",
        "default-src 'self'",
        OWN.replace("'self' 'sha256", "'unsafe-inline' 'sha256"),
        OWN.replace("'self' data:", "*"),
        OWN.replace("'self' data:", "https://evil.example"),
        OWN.replace("; base-uri", "; report-uri https://evil.example; base-uri"),
        OWN + "; connect-src https://evil.example",
        OWN + ";",
        OWN + "\r\nSet-Cookie: a=b",
    ],
)
def test_a_policy_that_is_not_ours_gives_way_to_none(policy):
    assert policy_of(meta(policy)) == NO_PAGE


def test_a_page_without_one_can_do_nothing():
    assert policy_of(b"<h1>Hello</h1>") == NO_PAGE
    assert policy_of(b"\xff\xd8\xff") == NO_PAGE
