"""A picture that ends the process is found, and no other is."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading

import pytest

from transforms.elements import ImageError, Reason
from transforms.images.crash_notes import (
    FOLDER,
    count_deaths,
    forget_notes,
    noting,
    picture_name,
    survivable,
)

POISON, GOOD = b"poison", b"good"

# Decodes its arguments, one after the other; `poison` ends it, unless it is cured.
PROGRAM = """
import os, sys
from transforms.images.crash_notes import noting, survivable

@survivable
def decode(data):
    if data == b"poison" and {end!r} != "cured":
        os.kill(os.getpid(), {end!r})
    if data == b"odd":
        raise ValueError("odd")
    return data

with noting({folder!r}) as died:
    print("died", *died, flush=True)
    for data in sys.argv[1:]:
        try:
            decode(data.encode())
            print("decoded", data, flush=True)
        except Exception as error:
            print(getattr(error, "reason", "error"), data, flush=True)
"""


@pytest.fixture
def decode_in_process(tmp_path):
    def run(*pictures, end=int(signal.SIGABRT)):
        program = PROGRAM.format(folder=str(tmp_path), end=end)
        process = subprocess.run(
            [sys.executable, "-c", program, *pictures], capture_output=True, text=True
        )
        return process.returncode, process.stdout.splitlines()

    return run


def counted(tmp_path):
    folder = tmp_path / FOLDER
    return {path.name for path in folder.glob("*") if path.is_file()}


@pytest.mark.parametrize("end", [signal.SIGABRT, signal.SIGKILL, signal.SIGSEGV])
def test_after_two_deaths_a_picture_fails_and_the_rest_is_decoded(
    decode_in_process, tmp_path, end
):
    name = picture_name(POISON)
    pictures = ("good", "poison", "odd", "better")
    assert decode_in_process(*pictures, end=int(end)) == (
        -end,
        ["died", "decoded good"],
    )
    status, told = decode_in_process(*pictures, end=int(end))
    assert (status, told) == (-end, [f"died {name}", "decoded good"])
    rest = ["decoded good", "crashed poison", "error odd", "decoded better"]
    assert decode_in_process(*pictures, end=int(end)) == (0, [f"died {name}", *rest])
    # And it ends no later run.
    assert decode_in_process(*pictures, end=int(end)) == (0, ["died", *rest])
    assert counted(tmp_path) == {name}


def test_picture_whose_decoder_was_mended_is_decoded(decode_in_process, tmp_path):
    for _ in range(3):
        decode_in_process("poison")
    assert counted(tmp_path) == {picture_name(POISON)}
    assert decode_in_process("poison", end="cured") == (0, ["died", "decoded poison"])
    assert not (tmp_path / FOLDER).exists()


def test_kills_that_came_by_chance_are_forgotten(decode_in_process, tmp_path):
    decode_in_process("poison", end=int(signal.SIGKILL))
    status, told = decode_in_process("good", "poison", end="cured")
    assert (status, told[1:]) == (0, ["decoded good", "decoded poison"])
    assert not (tmp_path / FOLDER).exists()


def test_twice_killed_by_chance_is_decoded_all_the_same(decode_in_process, tmp_path):
    for _ in range(2):
        decode_in_process("poison", end=int(signal.SIGKILL))
    status, told = decode_in_process("poison", end="cured")
    assert (status, told[1:]) == (0, ["decoded poison"])
    assert not (tmp_path / FOLDER).exists()


def test_exceptions_are_no_deaths(decode_in_process, tmp_path):
    assert decode_in_process("odd", "good") == (
        0,
        ["died", "error odd", "decoded good"],
    )
    assert not (tmp_path / FOLDER).exists()


def test_without_a_job_nothing_is_noted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert survivable(bytes.upper)(b"a") == b"A"
    assert list(tmp_path.iterdir()) == []


def test_note_of_the_living_is_no_death(tmp_path):
    told = {}

    @survivable
    def decode(data):
        # As the launcher looks, while a worker is at it.
        told["died"] = count_deaths()
        return data

    with noting(str(tmp_path)):
        decode(GOOD)
    assert told == {"died": []}


def test_interrupted_job_blames_no_picture(tmp_path):
    @survivable
    def decode(data):
        forget_notes()
        return list((tmp_path / FOLDER).rglob("*"))

    with noting(str(tmp_path)):
        assert decode(GOOD) == []


def test_each_thread_has_its_note(tmp_path):
    both = threading.Barrier(2)
    notes = []

    @survivable
    def decode(data):
        both.wait(30)
        names = {p.read_text().strip() for p in (tmp_path / FOLDER).glob("notes/*")}
        notes.append(names)
        both.wait(30)

    with noting(str(tmp_path)):
        threads = [threading.Thread(target=decode, args=(d,)) for d in (b"a", b"bb")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert notes == [{picture_name(b"a"), picture_name(b"bb")}] * 2


def test_output_that_cannot_be_written_decodes_all_the_same(tmp_path, monkeypatch):
    (tmp_path / FOLDER).write_text("a file where the folder should be")
    with noting(str(tmp_path)):
        assert survivable(bytes.upper)(b"a") == b"A"


@pytest.mark.parametrize("text", ["", "x", "-1", "9" * 5000, "\0"])
def test_damaged_count_is_none(tmp_path, text):
    folder = tmp_path / FOLDER
    folder.mkdir()
    (folder / picture_name(GOOD)).write_text(text)
    with noting(str(tmp_path)) as died:
        assert died == []
        assert survivable(bytes.upper)(GOOD) == b"GOOD"
    assert not folder.exists()


def test_note_costs_little(tmp_path):
    import timeit

    decode = survivable(len)
    data = bytes(100_000)
    with noting(str(tmp_path)):
        seconds = min(timeit.repeat(lambda: decode(data), number=200, repeat=3)) / 200
    print(json.dumps({"microseconds a picture of 100 kB": round(1e6 * seconds, 1)}))
    assert seconds < 0.001  # 12 us here; a picture of that size takes 2 ms


def test_failure_says_what_to_think_of_it(tmp_path):
    folder = pathlib.Path(tmp_path, FOLDER)
    folder.mkdir()
    (folder / picture_name(POISON)).write_text("2")

    @survivable
    def decode(data):
        os.kill(os.getpid(), signal.SIGKILL)

    with noting(str(tmp_path)), pytest.raises(ImageError) as error:
        decode(POISON)
    assert error.value.reason is Reason.CRASHED
    assert "died 2 times while it decoded this file" in error.value.message
