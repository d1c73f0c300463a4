"""Passwords and tokens in URLs: in no line, no log and no job.json."""

import logging

import pytest

from pipelines.command.console.redaction import (
    CleanFormatter,
    clean_json,
    without_secrets,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://me:token@host/x", "https://…@host/x"),
        ("n=https://token@host/x is bad", "n=https://…@host/x is bad"),
        ("'gs://b/x?X-Goog-Signature=abc'", "'gs://b/x?X-Goog-Signature=…'"),
        ("s3://b/x?a=1&sig=abc#k=v", "s3://b/x?a=…&sig=…#k=…"),
        ("gs://b/p/a?.jpg", "gs://b/p/a?.jpg"),
        ("mail me@host, a=b", "mail me@host, a=b"),
        ("/a@b/c?d=e", "/a@b/c?d=e"),
    ],
)
def test_secrets_go_and_all_else_stays(text: str, expected: str) -> None:
    assert without_secrets(text) == expected


def test_all_texts_of_a_json_value_are_cleaned() -> None:
    value = {"a": ("https://t@h/", 1, None), "b": {"c": ["x"]}}
    assert clean_json(value) == {"a": ["https://…@h/", 1, None], "b": {"c": ["x"]}}


def test_log_lines_are_cleaned() -> None:
    record = logging.LogRecord("n", 40, "p", 1, "no %s", ("https://t@h/",), None)
    assert CleanFormatter("%(message)s").format(record) == "no https://…@h/"
