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
    """A job failed on an engine with workers of its own, or could not be handed over.

    What is committed is kept. The message says why and what to do. Exit status 1.
    """
