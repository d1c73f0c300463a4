"""`stylebeam demo`: one photograph in 25 styles, and a sheet of all of them."""

import io
import os
import pathlib
import shlex
import sys
from collections.abc import Sequence
from typing import Final

from pipelines.command.job import check_local
from pipelines.demo.config import DemoConfig
from pipelines.demo.sheet import contact_sheet
from pipelines.errors import UsageError
from pipelines.stylize.config import StylizeConfig
from pipelines.stylize.job import run as stylize
from transforms.storage.folder import TEMPORARY, OutputFolder

_PICTURES: Final = pathlib.Path(__file__).parent / "pictures"

STYLIZED: Final = "stylized"
SHEET: Final = "sheet.jpg"


def run(config: DemoConfig, beam_flags: Sequence[str]) -> int:
    """Run the command; returns the exit status, that of `stylize`.

    Raises:
        UsageError: The output cannot be used.
    """
    check_local("--output", config.output)
    output = OutputFolder(config.output)
    _copy_pictures(output)
    content, styles, stylized = (
        os.path.join(config.output, name) for name in ("content", "styles", STYLIZED)
    )
    words = ["--content", content, "--style", styles, "--output", stylized, *beam_flags]
    print(f"demo: this is `stylebeam stylize {shlex.join(words)}`", file=sys.stderr)
    status = stylize(
        StylizeConfig(content=(content,), style=(styles,), output=stylized), beam_flags
    )
    if status == 0:
        sheet = contact_sheet(pathlib.Path(stylized), pathlib.Path(styles))
        data = io.BytesIO()
        sheet.save(data, "JPEG", quality=90)
        output.write(SHEET, data.getvalue())
        output.delete(TEMPORARY)
        print(f"demo: a sheet of all of them is {output.path(SHEET)}", file=sys.stderr)
    return status


def _copy_pictures(output: OutputFolder) -> None:
    """Write the packaged pictures, those that are not there yet.

    Raises:
        UsageError: The folder cannot be written.
    """
    try:
        for path in sorted(_PICTURES.glob("*/*")):
            name = f"{path.parent.name}/{path.name}"
            if not output.exists(name):
                output.write(name, path.read_bytes())
        output.delete(TEMPORARY)
    except OSError as error:
        raise UsageError(
            f"--output {output.root}: {error.strerror}. Choose a folder that can be "
            "written."
        ) from error
