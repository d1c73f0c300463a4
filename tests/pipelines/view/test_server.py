"""A server that shows an output and nothing else, whatever it is asked."""

import concurrent.futures
import errno
import json
import os
import re
import socket

import pytest
from view_client import serving

from transforms.pages.policy import NO_PAGE
from transforms.pages.render import render

SECRET = b"a secret that stands outside"
PICTURE = bytes(range(256)) * 1200  # more than is read at a time
SAFE = {
    "Cache-Control": "private, no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """An output with a page, a picture, and all that must not be shown."""
    above = tmp_path_factory.mktemp("view")
    (above / "secret.jpg").write_bytes(SECRET)
    root = above / "out"
    (root / "images/deep").mkdir(parents=True)
    (root / ".tmp").mkdir()
    (root / "job.json").write_text(json.dumps({"command": "evaluate"}))
    page = render("message.html", title="A page", message="of ours", way_back=False)
    (root / "index.html").write_bytes(page)
    (root / "images/other.html").write_text("<script>alert(1)</script>")
    (root / "images/evil.html").write_bytes(
        page.replace(b"script-src 'none'", b"script-src 'unsafe-inline'")
    )
    for name in ("a.jpg", "a b&c'(d).jpg", "caf\\xe9.jpg", "deep/ü.png"):
        (root / "images" / name).write_bytes(PICTURE)
    for name in (".tmp/a.jpg", ".lock", "styles.parquet", "images/a.svg", "images/x"):
        (root / name).write_bytes(SECRET)
    (root / "images/out.jpg").symlink_to(above / "secret.jpg")
    (root / "images/up").symlink_to(above)
    (root / "images/circle.jpg").symlink_to("circle.jpg")
    (root / "images/in.jpg").symlink_to("deep/ü.png")
    (root / "images/folder.jpg").mkdir()
    os.mkfifo(root / "images/pipe.jpg")
    return root


@pytest.fixture(scope="module")
def client(root):
    with serving(str(root)) as client:
        yield client


def head(answer):
    return {name: answer.getheader(name) for name in SAFE}


def test_the_first_address_leads_to_the_page(client, root):
    answer = client.ask("/")
    assert (answer.status, answer.getheader("Location")) == (302, "/index.html")
    answer = client.ask("/index.html?x")
    page = (root / "index.html").read_bytes()
    assert (answer.status, answer.body) == (200, page)
    assert answer.getheader("Content-Type") == "text/html; charset=utf-8"
    (own,) = re.findall(rb'Policy" content="(.*?)"', page)
    policy = f"{own.decode()}; frame-ancestors 'none'"
    assert answer.getheader("Content-Security-Policy") == policy
    assert head(answer) == SAFE
    # What a browser keeps of a page gets the headers of the 304.
    answer = client.ask("/index.html", If_None_Match=answer.getheader("ETag"))
    assert (answer.status, answer.body) == (304, b"")
    assert answer.getheader("Content-Security-Policy") == policy


@pytest.mark.parametrize(
    ("target", "content_type"),
    [
        ("/images/a.jpg", "image/jpeg"),
        ("/images/a%20b&c'(d).jpg", "image/jpeg"),
        ("/images/caf%5Cxe9.jpg", "image/jpeg"),
        ("/images/deep/%C3%BC.png", "image/png"),
        ("/images/in.jpg", "image/jpeg"),
    ],
)
def test_pictures_are_shown(client, target, content_type):
    answer = client.ask(target)
    assert (answer.status, answer.body) == (200, PICTURE)
    assert answer.getheader("Content-Type") == content_type
    assert answer.getheader("Content-Security-Policy") == NO_PAGE
    assert head(answer) == SAFE
    assert not any(name.startswith("Access-Control") for name in answer.headers)
    answer = client.ask(target, "HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.getheader("Content-Length") == str(len(PICTURE))


@pytest.mark.parametrize("name", ["other", "evil"])
def test_a_page_of_somebody_else_can_do_nothing(client, name):
    answer = client.ask(f"/images/{name}.html")
    assert answer.status == 200
    assert answer.getheader("Content-Security-Policy") == NO_PAGE


@pytest.mark.parametrize(
    "target",
    [
        b"/../secret.jpg",
        b"/images/../../secret.jpg",
        b"/%2e%2e/secret.jpg",
        b"/images/%2e%2e/%2e%2e/secret.jpg",
        b"/..%2fsecret.jpg",
        b"/..%5csecret.jpg",
        b"/%2e%2e%5csecret.jpg",
        b"/..\\secret.jpg",
        b"//%s/../secret.jpg",
        b"/%s/../secret.jpg",
        b"/images/out.jpg",
        b"/images/up/secret.jpg",
        b"/images/up/out/images/a.jpg/../../../secret.jpg",
        b"/images/circle.jpg",
        b"/images/pipe.jpg",
        b"/images/folder.jpg",
        b"/images/a.jpg/",
        b"/images/a.jpg/b.jpg",
        b"/images/a.jpg%00",
        b"/images/a.jpg%20",
        b"/images/A.JPG",
        b"/images/a.svg",
        b"/images/x",
        b"/images",
        b"/images/",
        b"/.tmp/a.jpg",
        b"/.lock",
        b"/styles.parquet",
        b"/" + b"a" * 3000 + b".jpg",
        b"/" + b"a/" * 3000 + b".jpg",
        b"/" + b"a" * 70000,
        b"http://127.0.0.1/images/a.jpg",
        b"file:///etc/passwd",
        b"*",
    ],
)
def test_nothing_else_is_shown(client, root, target):
    target = target.replace(b"%s", os.fsencode(root))
    request = b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    found = client.raw(request.replace(b"%s", target))
    assert re.match(rb"HTTP/1.1 (400|404|414) ", found)
    assert SECRET not in found
    assert PICTURE[:99] not in found
    # Neither what is in a folder, nor where it is.
    assert b"deep" not in found
    assert b"secret.jpg" not in found
    assert os.fsencode(root.parent) not in found


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (b"GET /index.html HTTP/1.1\r\nHost: evil.example", 421),
        (b"GET / HTTP/1.1\r\nHost: evil.example:80", 421),
        (b"GET /index.html HTTP/1.1", 421),
        (b"GET /index.html HTTP/1.0", 421),
        (b"GET /index.html", 421),
        (b"GET /index.html HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example", 421),
        (b"GET /index.html HTTP/1.1\r\nHost: 127.0.0.1\r\n .evil.example", 421),
        (b"POST /index.html HTTP/1.1\r\nHost: 127.0.0.1", 405),
        (b"PUT /images/a.jpg HTTP/1.1\r\nHost: 127.0.0.1", 405),
        (b"DELETE /images/a.jpg HTTP/1.1\r\nHost: 127.0.0.1", 405),
        (b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1", 405),
        (b"CONNECT example:80 HTTP/1.1\r\nHost: 127.0.0.1", 405),
        (b"PROPFIND / HTTP/1.1\r\nHost: 127.0.0.1", 405),
        (b"get / HTTP/1.1\r\nHost: 127.0.0.1", 405),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\n\r\nabc", 400),
        (
            b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n"
            b"Content-Length: 9\r\n\r\nGET / HTT",
            400,
        ),
        (
            b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n0",
            400,
        ),
        (b"GET / HTTP/2.0\r\nHost: 127.0.0.1", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 400),
        (b"\0\0\0", 400),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"Host: 127.0.0.1", 431),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 70000 + b"\r\nHost: 127.0.0.1", 431),
    ],
)
def test_what_no_browser_of_ours_asks_is_refused(client, lines, status):
    found = client.raw(lines + b"\r\n\r\n")
    assert found.startswith(b"HTTP/1.1 %d " % status)
    assert b"Connection: close" in found
    assert b"nosniff" in found
    assert b"<h1>A page" not in found
    assert (b"Allow: GET, HEAD" in found) == (status == 405)


@pytest.mark.parametrize(
    ("site", "mode", "dest", "status"),
    [
        ("none", "navigate", "document", 200),
        ("same-origin", "no-cors", "image", 200),
        # A link on another page leads here; what is in that page may not ask.
        ("cross-site", "navigate", "document", 200),
        ("cross-site", "navigate", "iframe", 403),
        ("cross-site", "no-cors", "script", 403),
        ("same-site", "cors", "empty", 403),
    ],
)
def test_another_page_reads_nothing(client, site, mode, dest, status):
    asked = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": mode, "Sec_Fetch_Dest": dest}
    assert client.ask("/images/a.jpg", **asked).status == status


def test_some_bytes_of_a_picture(client):
    tag = client.ask("/images/a.jpg").getheader("ETag")
    answer = client.ask("/images/a.jpg", Range="bytes=300000-", If_Range=tag)
    assert (answer.status, answer.body) == (206, PICTURE[300000:])
    size = len(PICTURE)
    whole = f"bytes 300000-{size - 1}/{size}"
    assert answer.getheader("Content-Range") == whole
    answer = client.ask("/images/a.jpg", Range="bytes=5-6", If_Range='"older"')
    assert (answer.status, answer.body) == (200, PICTURE)
    answer = client.ask("/images/a.jpg", Range=f"bytes={size}-")
    assert (answer.status, answer.getheader("Content-Range")) == (
        416,
        f"bytes */{size}",
    )
    answer = client.ask("/images/a.jpg", If_None_Match=f'"x", W/{tag}')
    assert (answer.status, answer.body) == (304, b"")


def test_many_at_once(client):
    def ask(number):
        return client.ask("/images/a.jpg", Range=f"bytes={number}-{number + 9}").body

    with concurrent.futures.ThreadPoolExecutor(24) as threads:
        assert list(threads.map(ask, range(72))) == [
            PICTURE[number : number + 10] for number in range(72)
        ]


def test_two_requests_over_one_connection(client):
    one = b"GET /images/a.jpg HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-3\r\n%s\r\n"
    found = client.raw(one % b"" + one % b"Connection: close\r\n")
    assert found.count(b"HTTP/1.1 206 Partial Content") == 2


def test_a_browser_that_goes_away_is_no_defect(client, capfd):
    with socket.create_connection(("127.0.0.1", client.port)) as gone:
        gone.sendall(b"GET /images/a.jpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
        # Closed with bytes that nobody reads: a reset.
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert client.ask("/images/a.jpg").status == 200
    assert capfd.readouterr().err == ""


def test_a_file_that_cannot_be_read_is_a_sentence(root, client, permissions_hold):
    # A thread that was started before the permissions held has none of this.
    (root / "images/closed.jpg").write_bytes(SECRET)
    (root / "images/closed.jpg").chmod(0)
    with serving(str(root)) as other:
        answer = other.ask("/images/closed.jpg")
    (root / "images/closed.jpg").unlink()
    assert answer.status == 500
    assert "It cannot be read: Permission denied." in answer.body.decode()


class TestBucket:
    @pytest.fixture
    def client(self, memory_bucket, root):
        for name in ("job.json", "index.html", "images/a.jpg"):
            memory_bucket.objects[f"o/{name}"] = (root / name).read_bytes()
        memory_bucket.objects["other.jpg"] = memory_bucket.objects["o"] = SECRET
        with serving("gs://b/o/") as client:
            yield client

    def test_an_output_in_a_bucket(self, client, root):
        assert client.ask("/index.html").body == (root / "index.html").read_bytes()
        answer = client.ask("/images/a.jpg", Range="bytes=7-8")
        assert (answer.status, answer.body) == (206, PICTURE[7:9])
        tag = answer.getheader("ETag")
        assert client.ask("/images/a.jpg", If_None_Match=tag).status == 304
        for target in ("/../other.jpg", "/%2e%2e/other.jpg", "//other.jpg", "/b.jpg"):
            assert client.ask(target).status == 404

    def test_what_the_store_does_not_give_is_a_sentence(
        self, client, memory_bucket, capfd
    ):
        def read_range(name, *_):
            text = "503 (tried 9 times) https://me:token@store/x?sig=abc"
            raise OSError(errno.EIO, text, f"gs://b/{name}")

        memory_bucket.read_range = read_range
        answer = client.ask("/images/a.jpg")
        assert answer.status == 502
        said = "503 (tried 9 times) https://…@store/x?sig=…"
        assert f"It cannot be read: {said}." in answer.body.decode().replace(
            "&amp;", "&"
        )
        assert (
            capfd.readouterr().err == f"view: /images/a.jpg: cannot be read: {said}\n"
        )

    def test_an_error_in_the_middle_ends_the_connection(
        self, client, memory_bucket, capfd, monkeypatch
    ):
        whole = memory_bucket.read_range
        memory_bucket.objects["o/images/a.jpg"] = bytes(5 << 20)

        def read_range(name, start, end, version):
            if start:
                raise OSError(errno.EIO, "the store is gone", name)
            return whole(name, start, end, version)

        memory_bucket.read_range = read_range
        request = b"GET /images/a.jpg HTTP/1.1\r\nHost: localhost\r\n\r\n"
        found = client.raw(request)
        assert found.startswith(b"HTTP/1.1 200 OK")
        assert len(found) < 5 << 20
        assert capfd.readouterr().err.endswith("the store is gone\n")
