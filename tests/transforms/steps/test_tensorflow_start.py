import os
import threading

from transforms.steps.tensorflow_start import without_greeting


def test_two_threads_leave_stderr_where_it_was() -> None:
    before = os.fstat(2)
    entered, may_end = threading.Event(), threading.Event()

    def first() -> None:
        with without_greeting():
            entered.set()
            may_end.wait(0.2)

    def second() -> None:
        entered.wait()
        with without_greeting():
            may_end.set()
            one.join()

    one, two = threading.Thread(target=first), threading.Thread(target=second)
    for thread in (one, two):
        thread.start()
    for thread in (one, two):
        thread.join()

    assert os.path.samestat(os.fstat(2), before)
