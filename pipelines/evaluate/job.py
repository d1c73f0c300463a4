"""`stylebeam evaluate`: how well a bundle does, measured with the one ruler."""

import dataclasses
import functools
import itertools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from model.adain.grid import Grid, Means
from model.adain.ruler import Ruler
from model.adain.stylizer import Stylizer
from model.bundle import RULER_BUNDLE, load_bundle
from pipelines.command.balances import Balance
from pipelines.command.flags import refuse_beam_flags
from pipelines.command.inputs import list_inputs
from pipelines.command.job import Job
from pipelines.errors import StorageError, UsageError
from pipelines.evaluate.config import EvaluateConfig
from transforms.elements import Failure, ImageError
from transforms.evaluate.report import (
    EvaluationPage,
    Picture,
    Square,
    evaluation_table,
    failures_table,
)
from transforms.images.center_crop import square_picture
from transforms.inputs.reading import read_image
from transforms.steps.tensorflow_start import start_tensorflow
from transforms.storage.files import read_file
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import write_table
from transforms.storage.worker_progress import progress_of

TABLE: Final = "evaluation.parquet"
PAGE: Final = "index.html"
SUMMARY: Final = "evaluation.json"
FAILURES: Final = "failures/part-00000-of-00001.parquet"


@dataclasses.dataclass
class Squares:
    """The contents or the styles: those that can be read, one at a time.

    Attributes:
        flag: Where they were named.
        sources: (key, source, reader of the bytes) of each.
        size: Side of the squares in pixels.
        readable: Those read so far.
        failures: Those that could not be.
    """

    flag: str
    sources: Sequence[tuple[str, str, Callable[[], bytes]]]
    size: int
    readable: list[Square] = dataclasses.field(default_factory=list)
    failures: list[Failure] = dataclasses.field(default_factory=list)

    def __iter__(self) -> Iterator[Picture]:
        """Yield each that can be read; `readable[-1]` tells its key.

        Raises:
            UsageError: There was none.
        """
        for key, source, read in self.sources:
            square = Square(key, functools.partial(self._read, read))
            try:
                picture = square.read()
            except ImageError as error:
                self.failures.append(
                    Failure(key, source, "evaluate", error.reason, str(error))
                )
                continue
            self.readable.append(square)
            yield picture
        if not self.readable:
            raise UsageError(f"{self.flag}: none of its images can be read")

    @property
    def unlisted(self) -> int:
        """How many of them are folders that could not be listed."""
        return sum(key.endswith("/") for key, _, _ in self.sources)

    def _read(self, read: Callable[[], bytes]) -> Picture:
        return square_picture(read(), self.size)


def run(config: EvaluateConfig, beam_flags: Sequence[str]) -> int:
    """Run the command; returns the exit status.

    Returns:
        0, or 1 when too many images cannot be read.

    Raises:
        UsageError: What was asked for cannot be done; nothing was written.
    """
    refuse_beam_flags(beam_flags)
    start_tensorflow()
    try:
        bundle = load_bundle(config.bundle, read_file)
    except (ValueError, RuntimeError) as error:
        raise UsageError(f"--bundle {config.bundle}: {error}") from error
    contents = _squares("--content", config.content, config)
    styles = _squares("--style", config.style, config)
    output = OutputFolder(config.output)
    job = Job(
        command="evaluate",
        output=output,
        names=(TABLE, PAGE, SUMMARY, "failures"),
        identity={},
        config=dataclasses.asdict(config),
        overwrite=False,
        max_failure_rate=config.max_failure_rate,
        unit="cells",
        # Each content meets each style and itself.
        total=len(contents.sources) * (len(styles.sources) + 1),
        unlisted=contents.unlisted + styles.unlisted,
    )
    job.check_output()
    with job.noted():
        grid = Grid(Ruler(load_bundle(RULER_BUNDLE)), Stylizer(bundle), styles)
        pictures = iter(contents)
        # Read before the job begins: without any content nothing may be written.
        pictures = itertools.chain([next(pictures)], pictures)
        about = {
            "bundle_id": bundle.bundle_id,
            "bundle_name": bundle.description.get("name"),
            "ruler_encoder_sha256": grid.ruler.encoder_sha256,
            "size": config.size,
        }
        try:
            status = job.run(
                lambda output: evaluate(
                    output, grid, pictures, contents, styles, about
                ),
                balances,
            )
        except ImageError as error:
            # It was read before, or it would be a failure.
            raise StorageError(
                f"a picture was changed, or its disk fails, while it is evaluated: "
                f"{error}. Give the same command again"
            ) from error
    _tell_means(output.read_json(SUMMARY)["means"])
    print(output.path(PAGE))
    return status


def evaluate(
    output: OutputFolder,
    grid: Grid,
    pictures: Iterator[Picture],
    contents: Squares,
    styles: Squares,
    about: Mapping[str, Any],
) -> dict[str, int]:
    """Write the table, the page, the failures and the summary; returns the counts.

    Args:
        output: Where to.
        grid: Grid of the styles.
        pictures: The contents that can be read, taken from `contents`.
        contents: The contents.
        styles: The styles, read.
        about: What the summary says beside the results.
    """
    progress = progress_of(output)
    means, page = Means(), EvaluationPage(styles.readable)
    style_keys = [style.key for style in styles.readable]
    done = 0
    with evaluation_table(output, TABLE) as append:
        for index, picture in enumerate(pictures):
            cells = []
            for cell in grid.cells(index, picture):
                means.add(cell)
                cells.append(cell)
                progress.add(cells_done=1)
            append(cells, contents.readable[-1].key, style_keys)
            page.add(contents.readable[-1], cells)
            done += len(cells)
    progress.flush()
    failures = contents.failures + styles.failures
    summary = {
        **about,
        "contents": len(contents.readable),
        "styles": len(styles.readable),
        "failed_images": len(failures),
        "means": means.result(),
    }
    write_table(output, FAILURES, failures_table(failures))
    output.write(PAGE, page.html(summary))
    output.write_json(SUMMARY, summary)
    return {
        "images_listed": len(contents.sources) + len(styles.sources),
        "images_decoded": len(contents.readable) + len(styles.readable),
        "images_failed": len(failures),
        "cells_planned": len(contents.readable) * (len(styles.readable) + 1),
        "cells_done": done,
    }


def balances(counts: Mapping[str, int]) -> list[Balance]:
    """Return what must add up: images listed, and cells planned over the decoded."""
    return [
        Balance(
            "images",
            counts["images_listed"],
            {"decoded": counts["images_decoded"]},
            counts["images_failed"],
        ),
        Balance("cells", counts["cells_planned"], {"done": counts["cells_done"]}, 0),
    ]


def _squares(flag: str, arguments: Sequence[str], config: EvaluateConfig) -> Squares:
    # A bundle is judged by pictures that it was not trained on.
    listing = list_inputs(flag, arguments, config.output, held_out=True)
    sources = [
        (ref.key, ref.source, functools.partial(read_image, ref))
        for ref in listing.refs()
    ]
    return Squares(flag, sources, config.size)


def _tell_means(means: Mapping[str, float]) -> None:
    print(
        f"evaluate: total {means['total']:.4f} = content {means['content']:.4f} + 10 × "
        f"style {means['style']:.4f}; SSIM {means['ssim']:.3f}; identity SSIM "
        f"{means['identity_ssim']:.3f}; content against the photograph "
        f"{means['photo']:.4f}; identity {means['identity_rmse']:.1f} RMSE, "
        f"{means['identity_mae']:.1f} mean grey levels",
        file=sys.stderr,
    )
