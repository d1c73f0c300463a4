"""The report of `optimize`: a page for each content and style, and one for all.

Static pages that open from disk; pictures stand beside them. A page is made from the
rows of its two images alone, so the memory needed does not grow with the collection.
"""

import dataclasses
import functools
import itertools
import shlex
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, Final

import apache_beam as beam
import jinja2
import pyarrow.parquet as pq
from apache_beam.pvalue import PCollection
from apache_beam.transforms.combiners import ToList

from transforms.optimize.comparisons import (
    TERMS,
    Effect,
    choose_baseline,
    differences,
    find_effects,
    key,
    settings_of,
    swept,
)
from transforms.optimize.optimize_runs import preview_name
from transforms.optimize.settings import RunSettings, flag_of, shown_value
from transforms.optimize.wording import (
    common_effects,
    conclusions,
    shown_change,
    step_of,
)
from transforms.pages.gallery_pages import make_environment
from transforms.pages.line_chart import HEIGHT, WIDTH, Chart, log_chart, thin
from transforms.storage.files import open_file
from transforms.storage.folder import OutputFolder
from transforms.storage.journal import Row
from transforms.storage.parquet import read_rows

REPORT: Final = "report.html"
PAGES: Final = "report"

# What a page shows of a large sweep; the table has all.
_STRIPS_A_SETTING: Final = 6
_PICTURES_A_STRIP: Final = 12
_CURVES: Final = 24
_DETAILS: Final = 200
_PAIRS: Final = 500
_PICTURES_A_PAIR: Final = 6

_CHARTS: Final = ("total", "content", "style", "tv")


@dataclasses.dataclass(frozen=True, slots=True)
class PairEntry:
    """What the overview says of the page of a content and a style.

    Attributes:
        content_key: Key of the content.
        style_key: Key of the style.
        content_id: Its id.
        style_id: Its id.
        part: Name of the part of the table with its runs.
        runs: How many they are.
        effects: What each change of a setting did.
        pictures: Path and label of some of the runs, the baseline first.
    """

    content_key: str
    style_key: str
    content_id: str
    style_id: str
    part: str
    runs: int
    effects: tuple[Effect, ...]
    pictures: tuple[tuple[str, str], ...]

    @property
    def page(self) -> str:
        """Name of the page inside the output folder."""
        return f"{PAGES}/{self.content_id}--{self.style_id}.html"


def write_pages(part: str, output: OutputFolder) -> Iterator[PairEntry]:
    """Write the page of each content and style of one part; yield their entries."""
    for _, owned in itertools.groupby(_rows(output.path(part)), key=_pair):
        rows = list(owned)
        baseline = choose_baseline(rows)
        first = rows[0]
        others = [row for row in rows if row is not baseline]
        names = list(swept(rows))
        entry = PairEntry(
            first["content_key"],
            first["style_key"],
            first["content_id"],
            first["style_id"],
            part,
            len(rows),
            tuple(find_effects(rows, baseline)),
            tuple(
                (row["path"], label(row, baseline, names))
                for row in [baseline, *others][:_PICTURES_A_PAIR]
            ),
        )
        output.write(entry.page, pair_html(output, rows, root="../"))
        yield entry


def _pair(row: Row) -> tuple[str, str]:
    return row["content_key"], row["style_key"]


def _rows(path: str) -> Iterator[Row]:
    with open_file(path) as file:
        for batch in pq.ParquetFile(file).iter_batches(64):
            yield from batch.to_pylist()


def label(row: Row, baseline: Row, names: Sequence[str]) -> str:
    """Return what tells a run from the baseline, or what the sweep file calls it."""
    if row["name"]:
        return str(row["name"])
    if row is baseline:
        return "baseline"
    changed = set(differences(row, baseline))
    values = settings_of(row)
    parts = [
        f"{flag_of(name)} {shown_value(name, values[name])}"
        for name in names
        if name in changed
    ]
    return ", ".join(parts) or "as the baseline"


def pair_html(output: OutputFolder, rows: Sequence[Row], root: str) -> bytes:
    """Return the page of one content and style; equal rows give equal bytes.

    Args:
        output: Whose curves.
        rows: Of all runs of the two images.
        root: What leads from the page to the output folder: empty or `../`.
    """
    baseline = choose_baseline(rows)
    names = list(swept(rows))
    ordered = [baseline, *(row for row in rows if row is not baseline)]
    number = {row["run_id"]: i for i, row in enumerate(ordered)}
    effects = find_effects(rows, baseline)

    def figure(row: Row) -> dict[str, Any]:
        return {
            "number": number[row["run_id"]],
            "label": label(row, baseline, names),
            "is_baseline": row is baseline,
            "row": row,
            "changes": _against(row, baseline, effects),
        }

    first = rows[0]
    text = _template().render(
        kind="pair",
        title=f"{first['content_key']} × {first['style_key']}",
        root=root,
        row=first,
        content=preview_name("content", first["content_id"]),
        style=preview_name("style", first["style_id"]),
        runs=[figure(row) for row in ordered[:_DETAILS]],
        runs_left=max(0, len(ordered) - _DETAILS),
        run_count=len(rows),
        common=_common(ordered[0], names),
        names=names,
        sections=[_section(name, rows, baseline, figure) for name in names],
        charts=_charts(output, ordered[:_CURVES]),
        curves_left=max(0, len(ordered) - _CURVES),
        conclusions=conclusions(rows, baseline),
        effects=effects,
        compared=[t for t in TERMS if any(t in e.changes for e in effects)],
        baseline=figure(baseline),
    )
    return text.encode()


def _against(row: Row, baseline: Row, effects: Sequence[Effect]) -> Mapping[str, float]:
    """Return how the terms of a run changed, where it is one change away."""
    changed = differences(row, baseline)
    if len(changed) != 1:
        return {}
    after = key(settings_of(row)[changed[0]])
    return next(
        e.changes for e in effects if e.setting == changed[0] and key(e.after) == after
    )


def _common(row: Row, names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the settings that all runs share, those that are no default first."""
    default = RunSettings().to_json()
    values = {k: v for k, v in settings_of(row).items() if k not in names}
    ordered = sorted(values, key=lambda n: values[n] == default.get(n))
    return [(flag_of(name), shown_value(name, values[name])) for name in ordered]


def _section(
    name: str, rows: Sequence[Row], baseline: Row, figure: Any
) -> dict[str, Any]:
    """Return strips of pictures along one setting, all else equal in each."""
    strips: dict[Hashable, list[Row]] = {}
    for row in rows:
        values = settings_of(row)
        others = tuple(key(v) for n, v in values.items() if n != name)
        strips.setdefault(others, []).append(row)
    order = [key(value) for value in swept(rows)[name]]
    shown = [strip for strip in strips.values() if len(strip) > 1]
    shown.sort(key=lambda strip: (baseline not in strip, -len(strip)))
    for strip in shown:
        strip.sort(key=lambda row: order.index(key(settings_of(row)[name])))
    return {
        "name": flag_of(name),
        "strips": [
            {
                "figures": [
                    {**figure(row), "value": shown_value(name, settings_of(row)[name])}
                    for row in strip[:_PICTURES_A_STRIP]
                ],
                "left": max(0, len(strip) - _PICTURES_A_STRIP),
                "others": _elsewhere(strip[0], baseline, name),
            }
            for strip in shown[:_STRIPS_A_SETTING]
        ],
        "left": max(0, len(shown) - _STRIPS_A_SETTING),
    }


def _elsewhere(row: Row, baseline: Row, name: str) -> str:
    """Return in what else the runs of a strip differ from the baseline."""
    values = settings_of(row)
    return ", ".join(
        f"{flag_of(n)} {shown_value(n, values[n])}"
        for n in differences(row, baseline)
        if n != name
    )


def _charts(output: OutputFolder, rows: Sequence[Row]) -> list[tuple[str, str, Chart]]:
    """Return a chart of each term with a line for each run."""
    series: dict[str, list[list[tuple[int, float]]]] = {term: [] for term in _CHARTS}
    for row in rows:
        steps = read_rows(output.path(row["curve_path"]))
        for term in _CHARTS:
            series[term].append(thin([(s["step"], s[term]) for s in steps]))
    charts = ((term, TERMS[term], log_chart(series[term])) for term in _CHARTS)
    return [(term, noun, chart) for term, noun, chart in charts if chart]


def command_of(row: Row) -> str:
    """Return the command that repeats a run; its inputs by their keys.

    The network's weights and the folders are left to whoever repeats it.
    """
    default = RunSettings().to_json()
    words = ["stylebeam", "optimize", "--content", row["content_key"]]
    words += ["--style", row["style_key"], "--output", "again"]
    if row["network"] != "vgg16":
        words += ["--network", row["network"]]
    for name, value in row["settings"].items():
        if value != default[name]:
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            words.append(f"--{flag_of(name)}={text.removesuffix('.0')}")
    return shlex.join(words)


def index_html(entries: Sequence[PairEntry]) -> bytes:
    """Return the overview of several contents and styles."""
    ordered = sorted(entries, key=lambda e: (e.content_key, e.style_key))
    return (
        _template()
        .render(
            kind="index",
            title=f"{len(ordered)} pairs of content and style",
            root="",
            pairs=[
                {
                    "entry": entry,
                    "content": preview_name("content", entry.content_id),
                    "style": preview_name("style", entry.style_id),
                }
                for entry in ordered[:_PAIRS]
            ],
            pairs_left=max(0, len(ordered) - _PAIRS),
            pair_count=len(ordered),
            run_count=sum(entry.runs for entry in ordered),
            common=common_effects([entry.effects for entry in ordered]),
        )
        .encode()
    )


def write_index(entries: Sequence[PairEntry], output: OutputFolder) -> str:
    """Write the overview, remove pages of earlier runs; return the overview's name.

    Of a single content and style it is their page itself.
    """
    if len(entries) == 1:
        (entry,) = entries
        owner = {"content_id": entry.content_id, "style_id": entry.style_id}
        rows = read_rows(output.path(entry.part), **owner)
        output.write(REPORT, pair_html(output, rows, root=""))
    else:
        output.write(REPORT, index_html(entries))
    wanted = {entry.page for entry in entries}
    for name in sorted(set(output.names(PAGES)) - wanted):
        output.delete(name)
    return REPORT


@functools.cache
def _template() -> jinja2.Template:
    environment = make_environment()
    environment.filters["change"] = lambda change: _unbroken(shown_change(change))
    environment.filters["unbroken"] = _unbroken
    environment.filters["number"] = _short
    environment.filters["shown"] = lambda value, name: shown_value(name, value)
    environment.globals.update(
        command_of=command_of,
        flag_of=flag_of,
        height=HEIGHT,
        step_of=step_of,
        terms=TERMS,
        width=WIDTH,
    )
    return environment.get_template("optimize.html")


def _unbroken(text: str) -> str:
    """Return a text whose numbers stay with their per cents."""
    return text.replace(" %", "\u00a0%")


def _short(value: float) -> str:
    """Return a loss for people.

    >>> _short(2799267840.0), _short(294.52), _short(0.0)
    ('2.8e9', '295', '0')
    """
    return f"{value:.3g}".replace("e+0", "e").replace("e+", "e")


@dataclasses.dataclass
class WriteRunReport(beam.PTransform[PCollection[str], PCollection[str]]):
    """Each part of the table becomes pages of the report; all of them, an overview.

    Input: names of parts of `runs.parquet`, bounded. Output: the name of the overview.
    Idempotent: the same runs give the same bytes.

    Attributes:
        output: The folder of the job; its table must be complete.
    """

    output: OutputFolder

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, parts: PCollection[str]) -> PCollection[str]:
        """Wire the pages, then the overview."""
        return (
            parts
            | "WritePages" >> beam.FlatMap(write_pages, self.output)
            | "CollectPages" >> ToList()
            | "WriteIndex" >> beam.Map(write_index, self.output).with_output_types(str)
        )
