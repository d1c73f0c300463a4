import pytest

from pipelines.command.storage_errors import storage_errors
from pipelines.errors import StorageError


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (
            "IsADirectoryError: [Errno 21] Is a directory: 'out/runs.parquet/part-0' "
            "[while running 'OptimizeRuns/Plan/ParDo(_PlanDoFn)']",
            "out/runs.parquet/part-0 cannot be read or written: Is a directory. ",
        ),
        (
            "PermissionError: [Errno 13] Permission denied: '/tmp/x'",
            "/tmp/x cannot be read or written: Permission denied. ",
        ),
        (
            "OutputError: [Errno 21] Is a directory: 'out/page.html'",
            "out/page.html cannot be written: Is a directory. ",
        ),
    ],
)
def test_errors_out_of_workers_are_one_sentence(raised: str, said: str) -> None:
    # As the engines of Beam hand them on: the text of a traceback.
    text = f'Traceback (most recent call last):\n  File "x.py", line 1\n{raised}\n'
    with pytest.raises(StorageError) as caught, storage_errors():
        raise RuntimeError(text)
    assert str(caught.value).startswith(said)


def test_defects_keep_their_traceback() -> None:
    with pytest.raises(RuntimeError, match="KeyError") as caught, storage_errors():
        raise RuntimeError("Traceback (most recent call last):\nKeyError: 'name'")
    assert caught.type is RuntimeError
