"""What a store does wrong is tried again, or is an `OSError`; nothing half is left.

The same tests for each store: a seeded proxy that fails stands before both emulators.
"""

import io
import os
import socket
import threading
import time

import pytest
from emulators import STORES
from fault_proxy import Fault

from transforms.buckets import patience, places
from transforms.buckets.bucket import ChangedError, NoBucketError
from transforms.storage import files

DATA = b"0123456789" * 10


@pytest.fixture(params=STORES)
def store(request, monkeypatch):
    """An empty bucket of an emulator, with short pauses between two tries."""
    monkeypatch.setattr(patience, "_FIRST_PAUSE", 0.01)
    monkeypatch.setenv(patience.SECONDS_VARIABLE, "20")
    return request.getfixturevalue(f"{request.param}_bucket")


@pytest.fixture
def small_parts(store, monkeypatch):
    """Uploads in parts of 5 MiB, and pages of ten names, where a store has a choice."""
    monkeypatch.setattr("transforms.buckets.google_storage._PAGE", 10)
    if store.emulator.scheme == "s3":
        monkeypatch.setattr("transforms.buckets.amazon_s3._PART", 5 << 20)
        monkeypatch.setattr("transforms.buckets.amazon_s3._PAGE", 10)


@pytest.fixture
def bucket(store):
    return places.locate(store.url)[0]


def write(bucket, name="a", data=DATA):
    bucket.write(name, io.BytesIO(data), len(data), "text/plain")


def names(bucket):
    return [one.name for one in bucket.scan("")]


OPERATIONS = {
    "check": lambda bucket, version: bucket.check(),
    "stat": lambda bucket, version: bucket.stat("a"),
    "scan": lambda bucket, version: names(bucket),
    "read": lambda bucket, version: bucket.read("a", 1000),
    "read_range": lambda bucket, version: bucket.read_range("a", 10, 20, version),
    "write": lambda bucket, version: write(bucket, "b"),
    "write_if": lambda bucket, version: bucket.write_if("b", b"x", None),
    "copy": lambda bucket, version: bucket.copy("a", "b"),
    "delete": lambda bucket, version: bucket.delete(["a"]),
}


@pytest.fixture(params=list(OPERATIONS))
def operation(request, store, bucket):
    """Return what asks the store for something, each time from the same state."""

    def ask(*faults, **rule):
        store.proxy.reset()
        bucket.delete(["b"])
        write(bucket)
        version = bucket.stat("a").version
        store.proxy.reset()
        for fault in faults:
            store.proxy.fail(fault, **rule)
        OPERATIONS[request.param](bucket, version)

    return ask


class TestForGood:
    def test_it_is_an_error_of_the_system(self, store, operation, monkeypatch):
        monkeypatch.setenv(patience.SECONDS_VARIABLE, "0.05")
        for fault, expected in {
            Fault(400): OSError,
            Fault(401): PermissionError,
            Fault(403): PermissionError,
            Fault(412): OSError,
            Fault(429): OSError,
            Fault(500): OSError,
            Fault(503): OSError,
            Fault(cut_response=-1): OSError,
            Fault(cut_request=0): OSError,
            Fault(garbage=True): OSError,
        }.items():
            with pytest.raises(expected) as caught:
                operation(fault, times=-1)
            assert caught.value.errno, fault
            assert caught.value.strerror, fault
            assert "{" not in caught.value.strerror, fault
            assert caught.value.filename.startswith(store.url), fault
            # What is known to last is asked once, or twice where an answer may be lost.
            if fault.status and fault.status < 429:
                assert store.proxy.count() <= 3

    def test_a_store_that_is_away_is_an_error_within_the_budget(
        self, store, monkeypatch
    ):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        for name in store.emulator.environment:
            if store.emulator.environment[name] == store.emulator.address:
                monkeypatch.setenv(name, address)
        monkeypatch.setenv(patience.SECONDS_VARIABLE, "0.5")
        began = time.monotonic()
        with pytest.raises(OSError, match="no connection: Connection refused"):
            places.locate(store.url)[0].read("a", 10)
        assert time.monotonic() - began < 5

    def test_a_missing_bucket_is_told(self, store, bucket):
        other = places.locate(f"{store.url}-nowhere")[0]
        for operation in (other.check, lambda: names(other), lambda: write(other)):
            with pytest.raises(NoBucketError, match="no such bucket"):
                operation()
        with pytest.raises(OSError, match="no such bucket"):
            other.write_if("a", b"", None)

    def test_a_missing_object_is_told(self, bucket):
        with pytest.raises(FileNotFoundError):
            bucket.read("a", 10)
        with pytest.raises(FileNotFoundError):
            bucket.copy("a", "b")
        assert bucket.stat("a") is None
        bucket.delete(["a", "b"])


class TestForAWhile:
    def test_it_is_tried_again(self, store, operation):
        for fault in (
            *(Fault(status) for status in (408, 429, 500, 502, 503, 504)),
            *(Fault(cut_response=at) for at in (-1, 0, 7)),
            *(Fault(cut_request=at) for at in (0, 5)),
        ):
            operation(fault, times=2)
            # An answer without a body is whole where it is cut.
            cut = fault.cut_response is not None and fault.cut_response >= 0
            assert store.proxy.count() >= 3 or cut, fault

    @pytest.mark.parametrize("at", [0, 1, 50, 99])
    def test_a_body_that_is_cut_is_read_again(self, store, bucket, at):
        write(bucket)
        version = bucket.stat("a").version
        for read in (
            lambda: bucket.read("a", 1000),
            lambda: bucket.read_range("a", 0, 100, version),
        ):
            store.proxy.reset()
            store.proxy.fail(Fault(cut_response=at), times=2)
            assert read() == DATA
            assert store.proxy.count() == 3, store.proxy.exchanges

    def test_the_client_asks_for_nothing_of_its_own(self, store, bucket):
        write(bucket)
        bucket.read("a", 1000)
        for thread in threading.enumerate():
            if "background" in thread.name:
                thread.join()
        assert store.proxy.count() == 2, store.proxy.exchanges

    def test_the_store_is_given_the_time_it_asks_for(self, store, bucket):
        write(bucket)
        store.proxy.fail(Fault(503, retry_after="1"))
        began = time.monotonic()
        assert bucket.read("a", 1000) == DATA
        assert time.monotonic() - began >= 1

    def test_a_time_beyond_the_budget_is_not_waited_for(self, store, bucket):
        store.proxy.fail(Fault(429, retry_after="3600"), times=-1)
        with pytest.raises(OSError, match=r"tried 1 times"):
            bucket.read("a", 1000)

    @pytest.mark.parametrize("seed", range(6))
    def test_a_seeded_storm_changes_nothing(self, store, bucket, seed):
        faults = [
            Fault(429, retry_after="0"),
            Fault(503),
            Fault(cut_response=-1),
            Fault(cut_response=3),
            Fault(cut_request=9),
        ]
        store.proxy.seeded(seed, 0.3, faults)
        expected = {}
        for number in range(12):
            expected[f"d/{number:02d}"] = os.urandom(number * 100)
            write(bucket, f"d/{number:02d}", expected[f"d/{number:02d}"])
        for number in range(0, 12, 3):
            bucket.copy(f"d/{number:02d}", f"e/{number:02d}")
            expected[f"e/{number:02d}"] = expected.pop(f"d/{number:02d}")
            bucket.delete([f"d/{number:02d}"])
        assert {name: bucket.read(name, 10_000) for name in names(bucket)} == expected
        version = bucket.write_if("lease", b"1", None)
        with pytest.raises(FileExistsError):
            bucket.write_if("lease", b"2", None)
        assert bucket.write_if("lease", b"3", version) != version
        with pytest.raises(ChangedError):
            bucket.write_if("lease", b"4", version)
        assert bucket.read("lease", 10) == b"3"
        assert any(one.faulty for one in store.proxy.exchanges)


@pytest.mark.usefixtures("small_parts")
class TestBrokenUpload:
    @pytest.mark.parametrize(
        "fault", [Fault(403), Fault(400), Fault(503), Fault(cut_request=100_000)]
    )
    @pytest.mark.parametrize("size", [1_000_000, 12_000_000])
    def test_leaves_nothing(self, store, bucket, fault, size, monkeypatch):
        monkeypatch.setenv(patience.SECONDS_VARIABLE, "0.1")
        # An upload in several requests breaks in the middle.
        store.proxy.fail(fault, times=-1, skip=2 if size > 10_000_000 else 0)
        if store.emulator.scheme == "s3" and size > 10_000_000:
            store.proxy.reset()
            store.proxy.fail(fault, times=-1, method="PUT", skip=1)
        if store.emulator.scheme == "gs" and size > 10_000_000:
            store.proxy.reset()
            store.proxy.fail(fault, times=-1, method="PUT")
        with pytest.raises(OSError, match=r".+"):
            write(bucket, "large", os.urandom(size))
        store.proxy.reset()
        assert names(bucket) == []
        assert pending_uploads(store) == []

    def test_in_parts_is_whole_at_its_end(self, store, bucket):
        data = os.urandom(11_000_000)
        store.proxy.fail(Fault(503), method="PUT")
        write(bucket, "large", data)
        assert bucket.read("large", 1 << 30) == data
        assert pending_uploads(store) == []


def pending_uploads(store):
    if store.emulator.scheme == "gs":
        return []  # Google forgets them by itself, and shows them to nobody.
    from transforms.buckets.amazon_s3 import S3Bucket

    client = S3Bucket(store.name, {})._client
    return client.list_multipart_uploads(Bucket=store.name).get("Uploads", [])


class TestConditions:
    def test_one_of_many_creates(self, store, bucket):
        won, barrier = [], threading.Barrier(8)

        def create(number):
            barrier.wait()
            try:
                bucket.write_if("lease", f"{number}".encode(), None)
                won.append(number)
            except FileExistsError:
                pass

        threads = [threading.Thread(target=create, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [f"{number}".encode() for number in won] == [bucket.read("lease", 10)]

    def test_a_lost_answer_is_found_out(self, store, bucket):
        for number in range(3):
            store.proxy.fail(Fault(cut_response=-1))
            version = bucket.write_if(f"new-{number}", b"1", None)
            store.proxy.fail(Fault(cut_response=-1))
            assert bucket.write_if(f"new-{number}", b"2", version) != version
            assert bucket.read(f"new-{number}", 10) == b"2"

    def test_a_lost_answer_of_a_loser_is_a_loss(self, store, bucket):
        bucket.write_if("lease", b"1", None)
        store.proxy.fail(Fault(cut_response=-1))
        with pytest.raises(FileExistsError):
            bucket.write_if("lease", b"2", None)
        assert bucket.read("lease", 10) == b"1"

    def test_what_is_gone_is_not_replaced(self, bucket):
        version = bucket.write_if("lease", b"1", None)
        bucket.delete(["lease"])
        with pytest.raises(ChangedError):
            bucket.write_if("lease", b"2", version)
        assert names(bucket) == []

    def test_the_same_bytes_are_another_writer_all_the_same(self, store, bucket):
        bucket.write_if("lease", b"1", None)
        with pytest.raises(FileExistsError):
            bucket.write_if("lease", b"1", None)


class TestVersions:
    @pytest.mark.parametrize("gone", [False, True], ids=["replaced", "deleted"])
    def test_what_changes_while_it_is_read_is_noticed(self, store, bucket, gone):
        first, second = os.urandom(9_000_000), os.urandom(9_000_000)
        write(bucket, "a", first)
        with files.open_file(f"{store.url}/a") as file:
            assert file.read(10) == first[:10]
            if gone:
                bucket.delete(["a"])
            else:
                write(bucket, "a", second)
            with pytest.raises(ChangedError, match="while it was read"):
                file.read()

    def test_what_changes_between_two_tries_is_read_whole(self, store, bucket):
        write(bucket, "a", b"old" * 1000)
        store.proxy.fail(Fault(cut_response=1000))
        store.proxy.fail(Fault(before=lambda: write(bucket, "a", b"new" * 1000)))
        assert bucket.read("a", 1 << 20) == b"new" * 1000

    def test_what_changes_between_two_tries_of_a_piece_is_noticed(self, store, bucket):
        write(bucket, "a", b"old" * 1000)
        version = bucket.stat("a").version
        store.proxy.reset()
        store.proxy.fail(
            Fault(cut_response=10, before=lambda: write(bucket, "a", b"new" * 1000))
        )
        with pytest.raises(ChangedError):
            bucket.read_range("a", 0, 3000, version)

    def test_pieces_of_an_empty_object_are_none(self, store, bucket):
        write(bucket, "a", b"")
        with files.open_file(f"{store.url}/a") as file:
            assert file.read(10) == b""


@pytest.mark.usefixtures("small_parts")
def test_listing_goes_on_over_pages(store, bucket):
    expected = sorted(f"d/{number}" for number in range(25))
    for name in expected:
        write(bucket, name, b"")
    store.proxy.reset()
    store.proxy.fail(Fault(503), method="GET", skip=1, times=2)
    assert [one.name for one in bucket.scan("d/")] == expected
    assert store.proxy.count("GET") == 5
    assert [one.name for one in bucket.scan("d/", most=3)] == expected[:3]
    assert [one.name for one in bucket.scan("d/", most=13)] == expected[:13]


def test_listing_flat_leaves_out_what_is_below(bucket):
    for name in ("d/a", "d/b/c", "d/b/d", "d-e", "d/z"):
        write(bucket, name, b"")
    assert [one.name for one in bucket.scan("d/", flat=True)] == ["d/a", "d/z"]
    assert [one.name for one in bucket.scan("", flat=True)] == ["d-e"]
    assert [one.name for one in bucket.scan("d")] == [
        *("d-e", "d/a", "d/b/c", "d/b/d", "d/z")
    ]
