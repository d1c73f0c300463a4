"""The report of `optimize`: a page for each content and style, and one for all.

Static pages that open from disk; pictures stand beside them. A page is made from the
rows of its two images alone, so the memory needed does not grow with the collection.
"""

import dataclasses
import itertools
import shlex
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, Final

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
from transforms.optimize.runs import styles_of
from transforms.optimize.settings import (
    RunSettings,
    flag_of,
    shown_value,
    values_in,
)
from transforms.optimize.wording import (
    common_effects,
    conclusions,
    shown_change,
    step_of,
)
from transforms.pages.gallery_pages import WritePages, write_index_page
from transforms.pages.line_chart import log_chart, thin
from transforms.pages.render import render
from transforms.storage.folder import OutputFolder
from transforms.storage.parquet import Row, read_rows, stream_rows

REPORT: Final = "report.html"
PAGES: Final = "report"

# What a page shows of a large sweep; the table has all.
_STRIPS_A_SETTING: Final = 6
_PICTURES_A_STRIP: Final = 12
_CURVES: Final = 24
_DETAILS: Final = 200
_PAIRS: Final = 500
_PICTURES_A_PAIR: Final = 6
_SENTENCES: Final = 40

_CHARTS: Final = ("total", "content", "style", "tv")
_LISTED: Final = (*_CHARTS, "high_frequency_energy")


@dataclasses.dataclass(frozen=True, slots=True)
class LabelledPicture:
    """The picture of a run.

    Attributes:
        path: Path of the picture inside the output folder.
        label: What tells the run from the others.
    """

    path: str
    label: str


@dataclasses.dataclass(frozen=True, slots=True)
class PairEntry:
    """What the overview says of the page of a content and a style.

    Attributes:
        content_key: Key of the content.
        style_key: Key of the style, or those of a mix.
        content_id: Id of the content.
        style_id: Id of the style or of the mix.
        style_names: Key and picture of each style.
        part: Name of the part of the table with its runs.
        runs: How many they are.
        effects: What each change of a setting did.
        pictures: Some of the runs, the baseline first.
    """

    content_key: str
    style_key: str
    content_id: str
    style_id: str
    style_names: tuple[tuple[str, str], ...]
    part: str
    runs: int
    effects: tuple[Effect, ...]
    pictures: tuple[LabelledPicture, ...]

    @property
    def page(self) -> str:
        """Name of the page inside the output folder."""
        return f"{PAGES}/{self.content_id}--{self.style_id}.html"

    @property
    def content(self) -> str:
        """Name of the picture of the content inside the output folder."""
        return preview_name("content", self.content_id)


def write_pages(part: str, output: OutputFolder) -> Iterator[PairEntry]:
    """Write the page of each content and style of one part; yield their entries."""
    for _, owned in itertools.groupby(stream_rows(output.path(part)), key=_pair):
        rows = list(owned)
        baseline = choose_baseline(rows)
        first = rows[0]
        others = [row for row in rows if row is not baseline]
        names = list(swept(rows))
        entry = PairEntry(
            content_key=first["content_key"],
            style_key=first["style_key"],
            content_id=first["content_id"],
            style_id=first["style_id"],
            style_names=tuple((s["label"], s["path"]) for s in _styles(first)),
            part=part,
            runs=len(rows),
            effects=tuple(find_effects(rows, baseline)),
            pictures=tuple(
                LabelledPicture(row["path"], label(row, baseline, names))
                for row in [baseline, *others][:_PICTURES_A_PAIR]
            ),
        )
        output.write(entry.page, pair_html(output, rows, root="../"))
        yield entry


def _pair(row: Row) -> tuple[str, str, str]:
    # Mixes of the same styles, with other weights or masks, have one key.
    return row["content_key"], row["style_key"], row["style_id"]


def _styles(row: Row) -> list[dict[str, str]]:
    """Return name, share and picture of each style of a row."""
    found = []
    for style in styles_of(row):
        share = "" if style["weight"] == 1 else f", weight {style['weight']:.3g}"
        mask = ", where its mask is white" if style["mask_sha256"] else ""
        label = f"{style['key']}{share}{mask}"
        found.append({"label": label, "path": preview_name("style", style["id"])})
    return found


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
        output: The folder of the job, which has the curves.
        rows: Rows of all runs of the two images.
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
            "moves": _moves(_against(row, baseline, effects)),
            "command": command_of(row),
        }

    first = rows[0]
    return render(
        "optimize.html",
        root=root,
        row=first,
        content=preview_name("content", first["content_id"]),
        styles=_styles(first),
        terms=TERMS,
        listed=_LISTED,
        runs=[figure(row) for row in ordered[:_DETAILS]],
        run_count=len(rows),
        common=_common(baseline, names),
        sections=[_section(name, rows, baseline, figure) for name in names],
        charts=_charts(output, ordered[:_CURVES]),
        curves=min(len(ordered), _CURVES),
        conclusions=conclusions(rows, baseline),
        effects=[{"step": step_of(e), "moves": _moves(e.changes)} for e in effects],
        compared=[t for t in TERMS if any(t in e.changes for e in effects)],
        baseline=figure(baseline),
    )


def _moves(changes: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    """Return how terms changed, for people: words, a direction, a bar in per cent."""
    return {
        term: {
            "text": shown_change(change),
            "way": "less" if change < 0 else "more",
            "percent": round(min(100, abs(change) * 100)),
        }
        for term, change in changes.items()
    }


def _against(row: Row, baseline: Row, effects: Sequence[Effect]) -> Mapping[str, float]:
    """Return how the terms of a run changed, where it is one change away."""
    changed = differences(row, baseline)
    if len(changed) != 1:
        return {}
    after = key(settings_of(row)[changed[0]])
    return next(
        e.changes for e in effects if e.setting == changed[0] and key(e.after) == after
    )


def _common(row: Row, names: Sequence[str]) -> list[dict[str, str]]:
    """Return the settings that all runs share, those that are no default first."""
    default = RunSettings().to_json()
    values = {k: v for k, v in settings_of(row).items() if k not in names}
    ordered = sorted(values, key=lambda n: values[n] == default.get(n))
    return [
        {"name": flag_of(name), "value": shown_value(name, values[name])}
        for name in ordered
    ]


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


def _charts(output: OutputFolder, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return a chart of each term with a line for each run."""
    series: dict[str, list[list[tuple[int, float]]]] = {term: [] for term in _CHARTS}
    for row in rows:
        steps = read_rows(output.path(row["curve_path"]))
        for term in _CHARTS:
            series[term].append(thin([(s["step"], s[term]) for s in steps]))
    charts = {TERMS[term]: log_chart(series[term]) for term in _CHARTS}
    return [{"noun": noun, "chart": chart} for noun, chart in charts.items() if chart]


def command_of(row: Row) -> str:
    """Return the command that repeats a run; its inputs by their keys.

    The network's weights and the folders are left to whoever repeats it.
    """
    default = RunSettings().to_json()
    words = ["stylebeam", "optimize", "--content", _path(row["content_key"])]
    styles = styles_of(row)
    keys = dict.fromkeys(_path(style["key"]) for style in styles)
    words += ["--style", *keys, "--output", "again"]
    if len(styles) > 1 or styles[0]["mask_sha256"]:
        words += ["--pairing", "pairs.csv"]
    if row["network"] != "vgg16":
        words += ["--network", row["network"]]
    for name, value in values_in(row["settings"]).items():
        if value != default[name]:
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            words.append(f"--{flag_of(name)}={text.removesuffix('.0')}")
    return shlex.join(words)


def _path(key: str) -> str:
    """Return a key as a path that is not taken for a flag."""
    return f"./{key}" if key.startswith("-") else key


def index_html(entries: Sequence[PairEntry]) -> bytes:
    """Return the overview of several contents and styles."""
    ordered = sorted(entries, key=lambda e: (e.content_key, e.style_key))
    common = common_effects([entry.effects for entry in ordered])
    return render(
        "optimize_overview.html",
        pairs=ordered[:_PAIRS],
        pairs_left=max(0, len(ordered) - _PAIRS),
        pair_count=len(ordered),
        run_count=sum(entry.runs for entry in ordered),
        common=[{"pairs": n, "text": text} for _, n, text in common[:_SENTENCES]],
    )


def write_index(entries: Sequence[PairEntry], output: OutputFolder) -> str:
    """Write the overview, remove pages of earlier runs; return the overview's name.

    Of a single content and style it is their page itself.
    """
    if len(entries) == 1:
        (entry,) = entries
        owner = {"content_id": entry.content_id, "style_id": entry.style_id}
        rows = read_rows(output.path(entry.part), **owner)
        html = pair_html(output, rows, root="")
    else:
        html = index_html(entries)
    pages = [entry.page for entry in entries]
    return write_index_page(output, REPORT, html, PAGES, pages)


class WriteRunReport(WritePages):
    """Each part of the table becomes pages of the report; all of them, an overview.

    Input: names of parts of `runs.parquet`, bounded. Output: the name of the overview.
    Idempotent: the same runs give the same bytes.

    Args:
        output: The folder of the job; its table must be complete.
    """

    def __init__(self, output: OutputFolder) -> None:
        super().__init__(output, write_pages, write_index)
