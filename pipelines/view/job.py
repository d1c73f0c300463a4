"""`stylebeam view`: serves the pages of an output on this machine until it is ended."""

import contextlib
import sys
from collections.abc import Sequence

from pipelines.command.flags import refuse_beam_flags
from pipelines.errors import UsageError
from pipelines.view.config import ViewConfig
from pipelines.view.server import HOST, ViewServer
from pipelines.view.site import open_site


def run(config: ViewConfig, beam_flags: Sequence[str]) -> int:
    """Run the command until Ctrl-C; returns the exit status.

    Raises:
        UsageError: There is nothing to view, or the port cannot be used.
    """
    refuse_beam_flags(beam_flags)
    site = open_site(config.output)
    if not site.ended:
        print(
            f"view: {config.output}: its job did not end, or still runs; what is not "
            "in its pages yet is not shown",
            file=sys.stderr,
        )
    try:
        server = ViewServer(site, config.port)
    except OSError as error:
        raise UsageError(
            f"--port {config.port}: cannot be used on {HOST}: {error.strerror}. Give "
            "another one, or leave it out to take one that is free"
        ) from error
    # Ctrl-C is how it ends.
    with server, contextlib.suppress(KeyboardInterrupt):
        print(server.url, flush=True)
        print("view: Ctrl-C ends it", file=sys.stderr)
        server.serve_forever()
    return 0
