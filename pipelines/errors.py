"""The error that ends a command with exit status 2."""


class UsageError(ValueError):
    """What the user asked for cannot be done; nothing was written.

    The message names the flag and the value that was found, what was expected, and
    what to do.
    """
