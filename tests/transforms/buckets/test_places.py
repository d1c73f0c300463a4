"""URLs: which are understood, and what is said of the others."""

import sys

import pytest

from transforms.buckets import places
from transforms.buckets.places import (
    MissingExtraError,
    UnreachableError,
    is_remote,
    locate,
    plain_path,
)
from transforms.storage.files import open_file


@pytest.mark.parametrize(
    ("path", "remote"),
    [
        ("gs://b/a", True),
        ("GS://b/a", True),
        ("s3://b/a?.png", True),
        ("s3://b", True),
        ("/a/b", False),
        ("a:b", False),
        ("a/gs://b", False),
        ("C://x"[:2], False),
    ],
)
def test_what_is_remote(path, remote):
    assert is_remote(path) is remote


@pytest.mark.parametrize(
    "scheme",
    ["azfs", "hdfs", "http", "https", "ftp", "wasb", "abfs", "s3a", "gcs", "file", "x"],
)
def test_another_scheme_names_those_that_are_supported(scheme):
    with pytest.raises(UnreachableError) as caught:
        is_remote(f"{scheme}://host/name")
    message = str(caught.value)
    assert message.startswith(f"{scheme}://host/name: ")
    if scheme != "file":
        for supported in ("local path", "file://", "gs://", "s3://"):
            assert supported in message


@pytest.mark.parametrize(
    "url", ["gs://me:secret@b/x", "s3://secret@b/x", "gs://b/x?sig=secret"]
)
def test_a_secret_is_refused_and_not_shown(url):
    with pytest.raises(UnreachableError, match="environment") as caught:
        is_remote(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("argument", "path"),
    [
        ("file:///a/b", "/a/b"),
        ("FILE:///a/b", "/a/b"),
        ("file://localhost/a", "/a"),
        ("file:///a%20b/%C3%A4", "/a b/ä"),
        ("name=file:///a", "name=/a"),
        ("/a/file:///b", "/a/file:///b"),
        ("a/b", "a/b"),
        ("gs://b/file:///x", "gs://b/file:///x"),
        ("file:/a", "file:/a"),
    ],
)
def test_a_file_url_is_its_path(argument, path):
    assert plain_path(argument) == path


@pytest.mark.parametrize(
    "url", ["file://host/a", "file://a", "file://", "n=file://a/b"]
)
def test_a_file_url_of_another_machine_is_refused(url):
    with pytest.raises(UnreachableError, match="file:///PATH"):
        plain_path(url)


@pytest.mark.parametrize(
    ("url", "bucket", "name"),
    [
        ("gs://b", "b", ""),
        ("gs://b/", "b", ""),
        ("GS://b/x", "b", "x"),
        ("gs://b/x/", "b", "x/"),
        ("gs://b/x/y z", "b", "x/y z"),
        ("gs://b//x", "b", "/x"),
    ],
)
def test_a_url_is_a_bucket_and_a_name(monkeypatch, url, bucket, name):
    monkeypatch.setattr(places, "_open", lambda scheme, name: (scheme, name))
    assert locate(url) == (("gs", bucket), name)


@pytest.mark.parametrize("url", ["gs://", "gs:///", "gs:///x", "s3://"])
def test_a_url_without_a_bucket_is_refused(url):
    with pytest.raises(UnreachableError, match="names no bucket; expected"):
        locate(url)


def test_a_missing_extra_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'stylebeam\[aws\]'"):
        open_file("s3://bucket/a.jpg")


def test_options_of_beam_lead_to_another_store(monkeypatch):
    pytest.importorskip("boto3")
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    flags = ["--s3_endpoint_url=http://127.0.0.1:9", "--s3_region_name=eu-west-1"]
    monkeypatch.setattr(FileSystems, "_pipeline_options", PipelineOptions(flags))
    bucket, _ = locate("s3://b/x")
    assert bucket._client.meta.endpoint_url == "http://127.0.0.1:9"
    assert bucket._client.meta.region_name == "eu-west-1"
    monkeypatch.setattr(FileSystems, "_pipeline_options", None)
    bucket, _ = locate("s3://b/x")
    assert "amazonaws" in bucket._client.meta.endpoint_url
