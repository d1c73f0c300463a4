"""What an engine says of a failed job, in one sentence."""

import pytest

from pipelines.engines.failures import sentence_of

WORKER = """Pipeline job-1 failed in state FAILED: Error running pipeline.
Traceback (most recent call last):
  File "sdk_worker.py", line 1, in _execute
    raise ValueError("inner")
ValueError: inner

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "x.py", line 2, in process
    raise KeyError('no such layer')
{last}
"""


@pytest.mark.parametrize(
    ("last", "sentence"),
    [
        ("KeyError: 'no such layer'", "KeyError: 'no such layer'"),
        (
            "KeyError: 'no such layer' [while running 'Stylize/Write-ptransform-3']",
            "KeyError: 'no such layer' (in the step Stylize/Write-ptransform-3)",
        ),
        ("model.bundle.OddError: it is odd.", "OddError: it is odd"),
        ("MemoryError", "MemoryError"),
        (
            "pipelines.engines.arrival.ArrivalError: worker a (1) has stylebeam 0",
            "worker a (1) has stylebeam 0",
        ),
        (
            "RuntimeError: Channel closed prematurely.",
            "a worker was lost (RuntimeError: Channel closed prematurely)",
        ),
        (
            "RuntimeError: Pipeline job-001 failed in state FAILED: bundle inst038 "
            "stage-054 failed:SDK worker disconnected: worker[job-001]",
            "a worker was lost (RuntimeError: Pipeline job-001 failed in state FAILED: "
            "bundle inst038 stage-054 failed:SDK worker disconnected: worker[job-001])",
        ),
        (
            "RuntimeError: Pipeline job-001 failed in state FAILED: panic in "
            "stage.Execute bundle processing goroutine: send on closed channel, stage: "
            "&{ID:stage-003 transforms:[a_1 b_2] outputs:[{Transform:a Local:None}]}",
            "a worker was lost (RuntimeError: Pipeline job-001 failed in state FAILED: "
            "panic in stage.Execute bundle processing goroutine: send on closed "
            "channel)",
        ),
    ],
)
def test_last_error_of_the_worker_is_told(last: str, sentence: str) -> None:
    assert sentence_of(RuntimeError(WORKER.format(last=last))) == sentence


@pytest.mark.parametrize(
    ("module", "what"),
    [
        ("pipelines", "stylebeam"),
        ("transforms.stylize", "stylebeam"),
        ("tensorflow", "tensorflow"),
    ],
)
def test_package_that_a_worker_lacks_is_named(module: str, what: str) -> None:
    last = f"ModuleNotFoundError: No module named '{module}'"
    said = sentence_of(RuntimeError(WORKER.format(last=last)))
    assert said.startswith(f"a worker has no {what} (No module named '{module}')")
    assert "--setup_file" in said


def test_error_of_this_process_keeps_its_kind() -> None:
    assert sentence_of(LookupError("nobody\n there")) == "LookupError: nobody there"
    assert sentence_of(TimeoutError()) == "TimeoutError"


def test_error_of_the_channel_is_told_by_its_details() -> None:
    class RpcError(Exception):
        def details(self) -> str:
            return "failed to connect to all addresses"

    assert sentence_of(RpcError()) == "failed to connect to all addresses"


def test_sentence_has_an_end() -> None:
    assert len(sentence_of(ValueError("x" * 10_000))) < 700


def test_prism_that_waited_for_a_worker_says_where_to_look() -> None:
    said = sentence_of(
        RuntimeError(
            "Pipeline job-001 failed in state FAILED: prism worker[job-001] didn't get "
            "control connection to localhost:33999 after 1m0s"
        )
    )
    assert said.startswith("no worker has come yet. See whether")
    assert "starts the first `python` on its PATH" in said
