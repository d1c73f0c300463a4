"""What a command needs of the process and machine it runs in, beside its flags."""

import sys
import tempfile

from pipelines.errors import UsageError


def check_surroundings() -> None:
    """Check that file names are UTF-8 and that there is a place for temporary files.

    Raises:
        UsageError: They are not, or there is none. Nothing was written.
    """
    encoding = sys.getfilesystemencoding()
    if encoding != "utf-8":
        # Names would be read as other texts, and ids are made of them.
        raise UsageError(
            f"file names are read as {encoding} here, so that pictures would get other "
            "ids than on other machines; expected utf-8. Set PYTHONUTF8=1 or "
            "LC_ALL=C.UTF-8."
        )
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise UsageError(
            f"there is no folder for temporary files ({error.strerror}). Set TMPDIR to "
            "a folder that can be written."
        ) from error
