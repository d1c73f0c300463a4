"""The errors that end a command with one line in place of a traceback."""


class UsageError(ValueError):
    """What the user asked for cannot be done; nothing was written.

    The message names the flag and the value that was found, what was expected, and
    what to do. Exit status 2.
    """


class StorageError(RuntimeError):
    """A file cannot be written or read, so that a job cannot come to its end.

    What is committed is kept. The message names the file and what to do. Exit status 1.
    """


class EngineError(RuntimeError):
    """The engine that a job runs on cannot bring it to its end.

    What is committed is kept. The message says what happened there and what to do. Exit
    status 1.
    """
