"""What a request may ask for, and whom."""

import pytest

from pipelines.view import addresses
from pipelines.view.addresses import BadAddressError, is_own_host, name_of


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/", ""),
        ("/?x=/../y", ""),
        ("/index.html", "index.html"),
        ("/a/b.jpg?v=1", "a/b.jpg"),
        ("/a%2Fb.jpg", "a/b.jpg"),
        ("/caf%C3%A9/%F0%9F%90%88.png", "café/🐈.png"),
        ("/100%25.jpg", "100%.jpg"),
        # What is escaped twice is a name with a per cent sign.
        ("/%252e%252e/a.jpg", "%2e%2e/a.jpg"),
        ("/.../a.jpg", ".../a.jpg"),
    ],
)
def test_a_name_is_what_stands_in_the_path(target, name):
    assert name_of(target) == name


@pytest.mark.parametrize(
    "target",
    [
        "/../a.jpg",
        "/a/../../b.jpg",
        "/%2e%2e/a.jpg",
        "/.%2e/a.jpg",
        "/%2E%2E%2fa.jpg",
        "/a/..",
        "/./a.jpg",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/a//b.jpg",
        "/a/",
        "/.tmp/a.jpg",
        "/.lock",
        "/manifest/.journal/a.json",
        "/%2ecrashes/a.txt",
    ],
)
def test_no_name_leads_up_or_to_what_a_job_keeps_to_itself(target):
    assert name_of(target) is None


@pytest.mark.parametrize(
    "target",
    [
        "",
        "*",
        "a.jpg",
        "../a.jpg",
        "http://127.0.0.1/a.jpg",
        "/a%00.jpg",
        "/a%0d%0aX:y.jpg",
        "/%zz.jpg",
        "/a%2",
        "/a%",
        "/%ff.jpg",
        "/%c0%ae%c0%ae/a.jpg",  # an overlong form of two dots
        "/%ed%b2%80.jpg",  # half a character
        "/\xe9.jpg",
    ],
)
def test_what_is_no_path_is_refused(target):
    with pytest.raises(BadAddressError):
        name_of(target)


def test_a_backslash_is_a_letter_where_it_parts_no_folders(monkeypatch):
    # Folders of a tree may have one: a byte that is no UTF-8 is written as `\xNN`.
    assert name_of("/caf%5Cxe9/a.jpg") == "caf\\xe9/a.jpg"
    monkeypatch.setattr(addresses.os, "sep", "\\")
    for target in ("/..%5c..%5ca.jpg", "/C:/a.jpg", "/a%5Cb.jpg"):
        assert name_of(target) is None


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8000", "localhost:1", "LOCALHOST", "localhost:99"]
)
def test_own_hosts(host):
    assert is_own_host(host)


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil.example#127.0.0.1",
        "127.0.0.1@evil.example",
        "127.0.0.1:80@evil.example",
        "evil.example, 127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:x",
        "127.0.0.1:\u0661",
        "localhost.",
        "127.0.0.1\n",
        "127.1",
        "2130706433",
        "0.0.0.0",
        "[::1]",
    ],
)
def test_foreign_hosts(host):
    assert not is_own_host(host)
