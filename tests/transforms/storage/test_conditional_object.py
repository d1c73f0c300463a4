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
    assert one.read() is None
    assert one.create(b"first")
    assert not one.create(b"second")
    assert one.read().data == b"first"


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


def test_it_is_deleted_only_as_it_was_read(path, store):
    if store == "gs":
        pytest.skip("fake-gcs-server ignores the condition of a deletion")
    one = conditional_object(path)
    one.create(b"first")
    tag = one.read().tag
    one.replace(b"second", tag)
    assert not one.delete(tag)
    assert one.read().data == b"second"
