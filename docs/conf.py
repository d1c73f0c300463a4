"""The site: what `make site` builds of docs/, every warning an error."""

import os
import pathlib
import re
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[1]

_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

project = _PROJECT["name"]
release = _PROJECT["version"]
copyright = "the authors of stylebeam, Apache-2.0"
language = "en"

extensions = ["myst_nb"]
exclude_patterns = ["training"]
html_theme = "furo"
html_title = f"{project} {release}"
html_show_sourcelink = False

# GitHub's anchors: pages link to headings of others.
myst_heading_anchors = 4
myst_enable_extensions = ["dollarmath"]

# Pages are read on GitHub, too, where a line of options may begin a block.
suppress_warnings = ["myst.header", "misc.highlighting_failure"]

nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 240
# What a cell writes on standard error is progress, and differs from run to run.
nb_output_stderr = "remove"

# Tutorials run `stylebeam` and `python` of the environment that builds the site.
_SCRIPTS = str(pathlib.Path(sys.executable).parent)
os.environ["PATH"] = os.pathsep.join([_SCRIPTS, os.environ["PATH"]])
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")


def setup(app):
    """Let links to files of the repository that are no pages be names of files."""
    app.connect("source-read", _name_files)


def _name_files(app, name, source):
    """Replace links that lead out of docs/: the site has no such page."""
    folder = (ROOT / "docs" / name).parent

    def named(match):
        text, target = match[1], match[2].partition("#")[0]
        path = (folder / target).resolve()
        outside = target and "://" not in target and not target.startswith("mailto:")
        # What does not exist stays, and Sphinx tells of it.
        if not outside or path.is_relative_to(ROOT / "docs") or not path.exists():
            return match[0]
        place = path.relative_to(ROOT).as_posix()
        return f"`{place}`" if text.strip("`") == place else f"{text} (`{place}`)"

    source[0] = _LINK.sub(named, source[0])
