"""URLs of buckets: which are understood, and which bucket and object they name."""

import importlib.util
import re
import sys
import urllib.request
from typing import Any, Final, NamedTuple

from transforms.buckets.bucket import Bucket

_URL: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://(.*)", re.DOTALL)

_FILE: Final = re.compile(r"((?:[^/=:]+=)?)file://([^/]*)(.*)", re.DOTALL | re.I)

# A user before the host, or a query: `?` alone is a wildcard.
_SECRET: Final = re.compile(r"[^/]*@|.*\?[\w.-]+=", re.DOTALL)


class _Scheme(NamedTuple):
    """A kind of store.

    Attributes:
        form: What its URLs look like.
        package: Package that speaks to it.
        extra: Extra of stylebeam that installs the package; empty where all have it.
        access: How the environment gets the right to it.
    """

    form: str
    package: str
    extra: str
    access: str


_SCHEMES: Final = {
    "gs": _Scheme(
        "gs://BUCKET/NAME",
        "google.cloud.storage",
        "",
        "gcloud auth application-default login",
    ),
    "s3": _Scheme("s3://BUCKET/NAME", "boto3", "aws", "aws configure"),
}

# Arguments of boto3 by Beam's options.
_S3_OPTIONS: Final = {
    "aws_access_key_id": "s3_access_key_id",
    "aws_secret_access_key": "s3_secret_access_key",
    "aws_session_token": "s3_session_token",
    "endpoint_url": "s3_endpoint_url",
    "region_name": "s3_region_name",
    "api_version": "s3_api_version",
    "verify": "s3_verify",
}

SUPPORTED: Final = "a local path, file://, gs:// or s3://"
"""What a place may be, in words."""


class UnreachableError(RuntimeError):
    """A path names a place that stylebeam cannot read or write, whatever is there."""


class MissingExtraError(UnreachableError):
    """A path needs an optional package that is not installed."""


def is_remote(path: str) -> bool:
    """Return whether the path is a URL of a bucket, such as `gs://bucket/name`.

    Raises:
        UnreachableError: It is a URL of another kind, or one with a password or a
            signature. The message has none of these.
    """
    match = _URL.match(path)
    if match is None:
        return False
    scheme, rest = match[1].lower(), match[2]
    if scheme in _SCHEMES and not _SECRET.match(rest):
        return True
    host, _, name = rest.partition("/")
    host, name = host.rpartition("@")[2], f"/{name.partition('?')[0]}"
    raise UnreachableError(f"{scheme}://{host}{name}: {_way_out(scheme, name)}")


def _way_out(scheme: str, name: str) -> str:
    """Return what to give in place of a URL that is not read."""
    if scheme in _SCHEMES:
        about = _SCHEMES[scheme]
        return (
            f"the URL has a signature or a user in it; expected {about.form} alone. "
            f"Access is that of the environment: {about.access}"
        )
    if scheme == "file":
        return f"file:// is not taken here; expected the path itself, {name}"
    found = f"{scheme}:// is not supported; expected {SUPPORTED}"
    if scheme in ("http", "https", "ftp"):
        return f"{found}. Download the files and give their folder"
    return f"{found}. Copy the files here, or mount the place as a folder"


def plain_path(argument: str) -> str:
    """Return an argument `file:///PATH`, or `NAME=file:///PATH`, as the path itself.

    Others stay as they are.

    Raises:
        UnreachableError: It names another machine, or a path that is not absolute.

    >>> plain_path("file:///a/b%20c")
    '/a/b c'
    """
    match = _FILE.fullmatch(argument)
    if match is None:
        return argument
    label, host, path = match[1], match[2], match[3]
    if host.lower() not in ("", "localhost") or not path:
        raise UnreachableError(
            f"{argument}: expected file:///PATH, with an absolute path and no machine"
        )
    return label + urllib.request.url2pathname(path)


def locate(url: str) -> tuple[Bucket, str]:
    """Return the bucket of a URL, and the name of the object in it.

    Nothing is asked of the store.

    Args:
        url: URL for which `is_remote` is true.

    Raises:
        MissingExtraError: The package of the store is not installed.
        UnreachableError: The URL names no bucket.
    """
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    about = _SCHEMES[scheme]
    bucket, _, name = rest.partition("/")
    if not bucket:
        raise UnreachableError(f"{url}: names no bucket; expected {about.form}")
    if not _is_installed(about.package):
        raise MissingExtraError(
            f"{scheme}:// paths need the package {about.package}, which is not "
            f"installed. Run: pip install 'stylebeam[{about.extra}]'"
        )
    return _open(scheme, bucket), name


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # of the package above it
        return False


def _open(scheme: str, name: str) -> Bucket:
    # Late: each needs its client, which takes a second to import.
    if scheme == "gs":
        from transforms.buckets.google_storage import GoogleBucket

        google = _beam_options("GoogleCloudOptions")
        return GoogleBucket(name, google and google.impersonate_service_account)
    from transforms.buckets.amazon_s3 import S3Bucket

    amazon = _beam_options("S3Options")
    if amazon is None:
        return S3Bucket(name, {})
    settings = {
        argument: getattr(amazon, option) for argument, option in _S3_OPTIONS.items()
    }
    if amazon.s3_disable_ssl:
        settings["use_ssl"] = False
    given = {name: value for name, value in settings.items() if value is not None}
    return S3Bucket(name, given)


def _beam_options(view: str) -> Any:
    """Return some of the options of the running job; None where there are none.

    Each view reads all flags anew, so one is taken for a bucket, not one an option.
    Beam keeps the options for its own file systems. A command without Beam has none.
    """
    filesystems = sys.modules.get("apache_beam.io.filesystems")
    options = filesystems and filesystems.FileSystems._pipeline_options
    if not options:
        return None
    from apache_beam.options import pipeline_options

    return options.view_as(getattr(pipeline_options, view))
