"""`stylebeam evaluate`: how well a bundle does, measured with the one ruler."""

import dataclasses
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tqdm

from model.bundle import DEFAULT_BUNDLE, load_bundle
from model.dataset import load_index
from model.evaluation import Cell, Grid, summarize
from model.quality import Ruler
from model.stylizer import Stylizer
from pipelines.errors import UsageError
from pipelines.evaluate_config import EvaluateConfig
from pipelines.job import Job
from transforms.elements import Failure, ImageError
from transforms.evaluation import evaluation_html, evaluation_table, failures_table
from transforms.output import TEMPORARY, OutputFolder, read_file
from transforms.read import list_checked, parse_inputs, read_image
from transforms.squares import square_picture
from transforms.tables import write_table

TABLE: Final = "evaluation.parquet"
PAGE: Final = "index.html"
SUMMARY: Final = "evaluation.json"
FAILURES: Final = "failures/part-00000-of-00001.parquet"


@dataclasses.dataclass(frozen=True, slots=True)
class Pictures:
    """What could be read of the contents or of the styles.

    Attributes:
        keys: Of the pictures.
        squares: float32 RGB `[size, size, 3]` in [0, 1] each.
        failures: The rest.
    """

    keys: list[str]
    squares: list[npt.NDArray[np.float32]]
    failures: list[Failure]


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
    try:
        bundle = load_bundle(config.bundle or DEFAULT_BUNDLE, read_file)
    except (ValueError, RuntimeError) as error:
        raise UsageError(f"--bundle {config.bundle}: {error}") from error
    output = OutputFolder(config.output)
    _job(config, output).check_output()
    contents = _load("--content", config.content, config.size)
    styles = _load("--style", config.style, config.size)
    grid = Grid(Ruler(load_bundle(DEFAULT_BUNDLE)), contents.squares, styles.squares)
    cells = list(_with_progress(grid, Stylizer(bundle)))
    summary = {
        "bundle_id": bundle.bundle_id,
        "bundle_name": bundle.description.get("name"),
        "ruler_encoder_sha256": grid.ruler.encoder_sha256,
        "size": config.size,
        "contents": len(contents.keys),
        "styles": len(styles.keys),
        "failed_images": len(contents.failures) + len(styles.failures),
        "means": summarize(cells),
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
    failures = contents.failures + styles.failures
    write_table(output, FAILURES, failures_table(failures))
    write_table(output, TABLE, evaluation_table(cells, contents.keys, styles.keys))
    page = evaluation_html(summary, grid, cells, contents.keys, styles.keys)
    output.write(PAGE, page)
    output.write_json(SUMMARY, summary)
    output.delete(TEMPORARY)
    return _report(config, summary, contents, styles)


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


def _load(flag: str, arguments: Sequence[str], size: int) -> Pictures:
    try:
        sources = list(_sources(arguments))
    except (ValueError, OSError, RuntimeError) as error:
        raise UsageError(f"{flag}: {error}") from error
    pictures = Pictures([], [], [])
    for key, source, read in sources:
        try:
            pictures.squares.append(square_picture(read(), size))
        except ImageError as error:
            pictures.failures.append(
                Failure(key, source, "evaluate", error.reason, str(error))
            )
        else:
            pictures.keys.append(key)
    if not pictures.keys:
        raise UsageError(f"{flag} {' '.join(arguments)}: no image there can be read")
    return pictures


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


def _with_progress(grid: Grid, stylizer: Stylizer) -> Iterator[Cell]:
    with tqdm.tqdm(
        total=len(grid), unit=" pictures", desc="evaluate", disable=None
    ) as bar:
        for cell in grid.evaluate(stylizer):
            bar.update()
            yield cell


def _report(
    config: EvaluateConfig,
    summary: dict[str, Any],
    contents: Pictures,
    styles: Pictures,
) -> int:
    means = summary["means"]
    failed = len(contents.failures) + len(styles.failures)
    total = len(contents.keys) + len(styles.keys) + failed
    print(
        f"evaluate: {total} images = {total - failed} decoded + {failed} failed; "
        f"total {means['total']:.4f} = content {means['content']:.4f} + 10 × style "
        f"{means['style']:.4f}; SSIM {means['ssim']:.3f}; identity SSIM "
        f"{means['identity_ssim']:.3f}",
        file=sys.stderr,
    )
    print(OutputFolder(config.output).path(PAGE))
    return 1 if failed > config.max_failure_rate * total else 0
