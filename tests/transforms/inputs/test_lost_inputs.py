"""A store of inputs that goes away ends the job; single files do not."""

import errno
import os

import pytest

from pipelines.command.storage_errors import storage_errors
from pipelines.errors import StorageError
from transforms.elements import ImageError, ImageRef, Reason
from transforms.inputs import lost_inputs
from transforms.inputs.lost_inputs import (
    MOST_IN_A_ROW,
    MOST_WAITED_FOR,
    InputsLostError,
    tell_unreadable,
)
from transforms.inputs.reading import read_image


@pytest.fixture(autouse=True)
def _from_zero():
    lost_inputs.tell_read()
    yield
    lost_inputs.tell_read()


def ref(path, number=0):
    return ImageRef(f"{number}.png", "in", str(path))


def read_rows(path, count):
    for number in range(count):
        with pytest.raises(ImageError) as caught:
            read_image(ref(path / f"{number}.png", number))
        assert caught.value.reason == Reason.NOT_FOUND


def test_files_that_vanish_in_a_row_end_the_job_in_one_line(tmp_path):
    read_rows(tmp_path, MOST_IN_A_ROW - 1)
    with pytest.raises(InputsLostError) as caught:
        read_image(ref(tmp_path / "last.png"))

    with pytest.raises(StorageError) as told, storage_errors():
        raise caught.value
    assert f"{MOST_IN_A_ROW} files in a row cannot be read" in str(told.value)
    assert str(tmp_path / "last.png") in str(told.value)
    assert "the same command goes on" in str(told.value)
    # Workers of other processes hand on the text of a traceback.
    text = f"Traceback\nx.InputsLostError: {caught.value} [while running 'Read']"
    with pytest.raises(StorageError) as again, storage_errors():
        raise RuntimeError(text)
    assert str(again.value) == str(told.value)


def test_a_file_that_can_be_read_ends_the_row(tmp_path):
    (tmp_path / "there.png").write_bytes(b"x")
    read_rows(tmp_path, MOST_IN_A_ROW - 1)
    assert read_image(ref(tmp_path / "there.png")) == b"x"
    read_rows(tmp_path, MOST_IN_A_ROW - 1)


def test_next_job_of_the_process_starts_from_zero(tmp_path):
    read_rows(tmp_path, MOST_IN_A_ROW - 1)
    with pytest.raises(InputsLostError):
        read_image(ref(tmp_path / "last.png"))
    read_rows(tmp_path, MOST_IN_A_ROW - 1)


def test_links_that_lead_nowhere_and_permissions_are_of_single_files(tmp_path):
    link = tmp_path / "link.png"
    link.symlink_to(tmp_path / "nowhere")
    denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    for _ in range(2 * MOST_IN_A_ROW):
        with pytest.raises(ImageError):
            read_image(ref(link))
        tell_unreadable("/pictures/a.png", denied)


@pytest.mark.parametrize(
    "error",
    [
        OSError("503 Service Unavailable"),
        PermissionError("403 Forbidden"),
        FileNotFoundError("404"),
    ],
)
def test_whatever_a_bucket_says_counts(error):
    for _ in range(MOST_IN_A_ROW - 1):
        tell_unreadable("gs://bucket/a.png", error)
    with pytest.raises(InputsLostError, match=str(error)):
        tell_unreadable("gs://bucket/last.png", error)


def test_bucket_that_was_waited_for_is_not_waited_for_a_hundred_times():
    error = OSError(errno.EIO, "503 Service Unavailable (tried 9 times in 58 s)", "gs:")
    for _ in range(MOST_WAITED_FOR - 1):
        tell_unreadable("gs://bucket/a.png", error)
    with pytest.raises(InputsLostError, match=f"{MOST_WAITED_FOR} files in a row"):
        tell_unreadable("gs://bucket/last.png", error)
