"""An object is written only if it is as it was read, in every store."""

import concurrent.futures

import pytest

from transforms.storage.conditional_object import conditional_object

STORES = ("local", "gs", "s3")


@pytest.fixture(params=STORES)
def store(request):
    return request.param


@pytest.fixture
def path(store, tmp_path, request):
    if store == "local":
        return str(tmp_path / ".lease")
    return f"{request.getfixturevalue(f'{store}_bucket').url}/out/.lease"


def test_it_is_created_only_where_there_is_none(path):
    one = conditional_object(path)
    assert one.read() is one.data() is None
    assert one.create(b"first")
    assert not one.create(b"second")
    assert one.read().data == one.data() == b"first"


def test_of_many_who_create_it_at_once_one_does(path):
    def create(number):
        return conditional_object(path).create(b"%d" % number)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        won = list(pool.map(create, range(8)))
    assert won.count(True) == 1
    assert conditional_object(path).read().data == b"%d" % won.index(True)


def test_it_is_replaced_only_as_it_was_read(path):
    one = conditional_object(path)
    one.create(b"first")
    tag = one.read().tag
    assert one.replace(b"second", tag)
    assert not one.replace(b"third", tag)
    assert one.read().data == b"second"


def test_what_is_gone_is_not_replaced(path):
    one = conditional_object(path)
    one.create(b"first")
    tag = one.read().tag
    assert one.delete(tag)
    assert one.read() is None
    assert not one.replace(b"second", tag)
    assert not one.delete(tag)
    assert one.read() is None


def test_it_is_deleted_only_as_it_was_read(path):
    one = conditional_object(path)
    one.create(b"first")
    tag = one.read().tag
    one.replace(b"second", tag)
    assert not one.delete(tag)
    assert one.read().data == b"second"


@pytest.mark.parametrize("store", ["gs", "s3"])
def test_what_was_emptied_by_one_that_died_deleting_it_is_gone(path, monkeypatch):
    one = conditional_object(path)
    one.create(b"first")
    monkeypatch.setattr(one._bucket, "delete", lambda _: None)
    assert one.delete(one.read().tag)
    assert one.read() is one.data() is None
    assert conditional_object(path).create(b"second")


@pytest.mark.parametrize("store", ["gs", "s3"])
def test_without_the_condition_two_would_win(store, path, monkeypatch):
    """So the emulator is asked for it, and the tests above can fail."""
    if store == "gs":
        from google.cloud.storage import Blob

        upload = Blob.upload_from_string

        def unconditional(blob, *args, if_generation_match, **options):
            upload(blob, *args, **options)

        monkeypatch.setattr(Blob, "upload_from_string", unconditional)
    else:
        from botocore.client import BaseClient

        call = BaseClient._make_api_call

        def unconditional(client, operation, options):
            options = dict(options)
            options.pop("IfNoneMatch", None)
            options.pop("IfMatch", None)
            return call(client, operation, options)

        monkeypatch.setattr(BaseClient, "_make_api_call", unconditional)
    one = conditional_object(path)
    # Each found nothing there before.
    monkeypatch.setattr(one, "_there", lambda: None)
    assert [one.create(b"first"), one.create(b"second")] == [True, True]


@pytest.mark.parametrize("store", ["gs", "s3"])
def test_who_found_nothing_there_does_not_replace_what_came_meanwhile(
    path, monkeypatch
):
    one = conditional_object(path)
    monkeypatch.setattr(one, "_there", lambda: None)
    assert [one.create(b"first"), one.create(b"second")] == [True, False]
