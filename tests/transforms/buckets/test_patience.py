"""Tries go on with random pauses, as the store asks, and end with the budget."""

import errno

import pytest

from transforms.buckets.patience import (
    SECONDS_VARIABLE,
    TransientError,
    lost_connection,
    patiently,
    seconds_to_wait,
)


class Clock:
    """Time that passes only in pauses, which it remembers."""

    def __init__(self):
        self.now = 0.0
        self.pauses = []

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds


def failing(times, after=None):
    left = [times]

    def call():
        if left[0]:
            left[0] -= 1
            raise TransientError("503: busy", after)
        return "answer"

    return call


def run(call, **options):
    clock = Clock()
    try:
        return clock, patiently(
            call,
            "gs://b/x",
            clock=lambda: clock.now,
            sleep=clock.sleep,
            **options,
        )
    except OSError as error:
        return clock, error


def test_an_answer_at_once_is_without_a_pause():
    clock, answer = run(failing(0))
    assert answer == "answer"
    assert clock.pauses == []


def test_pauses_are_random_below_a_bound_that_doubles():
    for _ in range(50):
        clock, answer = run(failing(8), seconds=1000)
        assert answer == "answer"
        bounds = [0.5, 1, 2, 4, 8, 16, 16, 16]
        assert all(0 <= p <= b for p, b in zip(clock.pauses, bounds, strict=True))
    firsts = {run(failing(1))[0].pauses[0] for _ in range(50)}
    assert len(firsts) == 50
    assert min(firsts) < 0.1
    assert max(firsts) > 0.4


def test_the_budget_ends_it_with_an_error_of_the_system():
    clock, error = run(failing(-1), seconds=30)
    assert error.errno == errno.EIO
    assert error.filename == "gs://b/x"
    assert "503: busy (tried " in error.strerror
    assert clock.now <= 30


def test_what_the_store_asks_for_is_waited_for():
    clock, answer = run(failing(2, after=7.0), seconds=60)
    assert answer == "answer"
    assert clock.pauses == [7.0, 7.0]


def test_no_more_than_the_budget_is_waited_for():
    clock, error = run(failing(1, after=61.0), seconds=60)
    assert "tried 1 times in 0 s" in error.strerror
    assert clock.pauses == []


def test_other_errors_are_not_tried_again():
    calls = []

    def denied():
        calls.append(1)
        raise PermissionError(errno.EACCES, "no", "gs://b/x")

    assert isinstance(run(denied)[1], PermissionError)
    assert calls == [1]


@pytest.mark.parametrize(
    ("value", "most"),
    [("2", 2), ("0", 0), ("", 60), ("nan", 60), ("inf", 60), ("x", 60)],
)
def test_the_environment_sets_the_budget(monkeypatch, value, most):
    monkeypatch.setenv(SECONDS_VARIABLE, value)
    clock, error = run(failing(-1))
    assert isinstance(error, OSError)
    # It ends where the next pause, 16 s at the longest, would be too long.
    assert most - 16 < clock.now <= most


def test_a_lost_connection_is_told_in_the_words_of_the_system():
    def wrapped():
        try:
            try:
                raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
            except OSError as error:
                raise RuntimeError("https://host/with?a=long&url") from error
        except RuntimeError:
            raise ValueError("Max retries exceeded")  # noqa: B904 - as clients do

    with pytest.raises(ValueError, match="Max retries") as caught:
        wrapped()
    assert str(lost_connection(caught.value)) == "no connection: Connection refused"
    assert str(lost_connection(EOFError())) == "no connection: EOFError"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("3", 3),
        ("2.5", 2.5),
        ("-4", 0),
        ("soon", None),
        ("nan", 0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 90),
        ("Thu, 01 Jan 1970 00:01:40", 90),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0),
        ("Thu, 99 Jan 1970 00:00:01 GMT", None),
    ],
)
def test_the_header_is_seconds_or_a_date(header, seconds):
    assert seconds_to_wait(header, lambda: 10.0) == seconds
