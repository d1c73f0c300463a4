"""`stylebeam evaluate`: how well a bundle does, measured with the one ruler."""

import dataclasses
import functools
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import tqdm

from model.adain.grid import Grid, Means
from model.adain.ruler import Ruler
from model.adain.stylizer import Stylizer
from model.bundle import DEFAULT_BUNDLE, load_bundle
from model.training.dataset import load_index
from pipelines.command.job import Job
from pipelines.errors import UsageError
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
from transforms.inputs.reading import list_checked, read_image
from transforms.inputs.roots import parse_inputs
from transforms.steps.tensorflow_start import start_tensorflow
from transforms.storage.files import read_file
from transforms.storage.folder import TEMPORARY, OutputFolder
from transforms.storage.parquet import write_table

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

    def _read(self, read: Callable[[], bytes]) -> Picture:
        return square_picture(read(), self.size)


def run(config: EvaluateConfig, beam_flags: Sequence[str]) -> int:
    """Run the command; returns the exit status.

    Returns:
        0, or 1 when too many images cannot be read.

    Raises:
        UsageError: What was asked for cannot be done; nothing was written.
    """
    if beam_flags:
        raise UsageError(f"unrecognized arguments: {' '.join(beam_flags)}")
    started = time.monotonic()
    start_tensorflow()
    try:
        bundle = load_bundle(config.bundle or DEFAULT_BUNDLE, read_file)
    except (ValueError, RuntimeError) as error:
        raise UsageError(f"--bundle {config.bundle}: {error}") from error
    output = OutputFolder(config.output)
    _job(config, output).check_output()
    contents = _squares("--content", config.content, config.size)
    styles = _squares("--style", config.style, config.size)
    ruler = Ruler(load_bundle(DEFAULT_BUNDLE))
    grid = Grid(ruler, Stylizer(bundle), styles)
    means, page = Means(), EvaluationPage(styles.readable)
    style_keys = [style.key for style in styles.readable]
    pictures = iter(contents)
    # Before the table is begun: without any content nothing may be written.
    first = next(pictures)
    with (
        evaluation_table(output, TABLE) as append,
        tqdm.tqdm(
            total=len(contents.sources) * (len(grid) + 1),
            unit=" pictures",
            desc="evaluate",
            disable=None,
        ) as bar,
    ):
        for index, picture in enumerate(itertools.chain([first], pictures)):
            cells = []
            for cell in grid.cells(index, picture):
                means.add(cell)
                cells.append(cell)
                bar.update()
            append(cells, contents.readable[-1].key, style_keys)
            page.add(contents.readable[-1], cells)
    failures = contents.failures + styles.failures
    summary = {
        "bundle_id": bundle.bundle_id,
        "bundle_name": bundle.description.get("name"),
        "ruler_encoder_sha256": ruler.encoder_sha256,
        "size": config.size,
        "contents": len(contents.readable),
        "styles": len(styles.readable),
        "failed_images": len(failures),
        "means": means.result(),
    }
    output.write_json(
        "job.json",
        {
            "command": "evaluate",
            "config": dataclasses.asdict(config),
            "identity": {},
            "status": "done",
            "seconds": round(time.monotonic() - started, 3),
        },
    )
    write_table(output, FAILURES, failures_table(failures))
    output.write(PAGE, page.html(summary))
    output.write_json(SUMMARY, summary)
    output.delete(TEMPORARY)
    return _report(config, summary)


def _job(config: EvaluateConfig, output: OutputFolder) -> Job:
    """Return the job, for its check of the output."""
    return Job(
        command="evaluate",
        output=output,
        names=(TABLE, PAGE, SUMMARY, "failures"),
        identity={},
        config={},
        overwrite=False,
        max_failure_rate=config.max_failure_rate,
        unit="cells",
        total=0,
    )


def _squares(flag: str, arguments: Sequence[str], size: int) -> Squares:
    try:
        return Squares(flag, list(_sources(arguments)), size)
    except (ValueError, OSError, RuntimeError) as error:
        raise UsageError(f"{flag}: {error}") from error


def _sources(arguments: Sequence[str]) -> Iterator[tuple[str, str, Any]]:
    """Return key, source and reader of every picture that the arguments name."""
    ours = [path for path in arguments if OutputFolder(path).exists("ingest.json")]
    for path in ours:
        index = load_index([path], "val")
        name = path.rstrip("/").rpartition("/")[2]
        prefix = f"{name}/" if len(arguments) > 1 else ""
        for i, key in enumerate(index.keys):
            yield f"{prefix}{key}", name, lambda index=index, i=i: index.read(i)
    others = [path for path in arguments if path not in ours]
    for ref in list_checked(parse_inputs(others)) if others else ():
        yield ref.key, ref.source, lambda ref=ref: read_image(ref)


def _report(config: EvaluateConfig, summary: dict[str, Any]) -> int:
    means, failed = summary["means"], summary["failed_images"]
    total = summary["contents"] + summary["styles"] + failed
    print(
        f"evaluate: {total} images = {total - failed} decoded + {failed} failed; "
        f"total {means['total']:.4f} = content {means['content']:.4f} + 10 × style "
        f"{means['style']:.4f}; SSIM {means['ssim']:.3f}; identity SSIM "
        f"{means['identity_ssim']:.3f}",
        file=sys.stderr,
    )
    print(OutputFolder(config.output).path(PAGE))
    return 1 if failed > config.max_failure_rate * total else 0
