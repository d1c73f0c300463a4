"""HTML pages out of `templates/`, each whole in one file: styles and scripts inside.

Every page extends `base.html`. What a page is given is escaped; only its own CSS and
JavaScript, files of their own beside the templates, enter as they are. A page tells the
browser so: whatever else got into it would neither run nor reach the network.
"""

import base64
import functools
import hashlib
import math
from typing import Any

import jinja2
from markupsafe import Markup

from transforms.pages.page_data import script_json


def render(template: str, /, **values: Any) -> bytes:
    """Return a page as UTF-8; equal values give equal bytes.

    Args:
        template: Name of the template.
        **values: What the template names; one that is missing is an error. `data`
            becomes JSON inside the page, for its scripts.
    """
    return environment().get_template(template).render(values).encode()


def data_url(jpeg: bytes) -> str:
    """Return the address of a JPEG that stands inside its page."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


@functools.cache
def environment(folder: str = "") -> jinja2.Environment:
    """Return what knows the templates of all pages.

    Args:
        folder: Folder of more templates, which may extend these and have their look;
            empty for none.
    """
    found = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [
                jinja2.PackageLoader("transforms.pages"),
                *([jinja2.FileSystemLoader(folder)] if folder else []),
            ]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.globals["inline"] = functools.partial(_inline, found)
    found.globals["policy"] = _policy
    found.filters["script_json"] = lambda value: Markup(script_json(value))
    found.filters["bytes"] = _human_bytes
    found.filters["plural"] = _plural
    found.filters["short"] = _short
    found.filters["thousands"] = "{:,}".format
    found.filters["unbroken"] = _unbroken
    return found


def _inline(templates: jinja2.Environment, name: str) -> Markup:
    """Return a file beside the templates: ours, and so neither escaped nor parsed."""
    if templates.loader is None:
        raise ValueError("The environment has no folder of templates.")
    return Markup(templates.loader.get_source(templates, name)[0])


def _policy(styles: str, script: str) -> Markup:
    """Return the Content-Security-Policy of a page.

    Its own style and script by their hashes, pictures of its output and inside the
    page, and scripts of its output, which are the data of a gallery. Nothing else.

    >>> _policy("b{}", "").split("; ")[0]
    Markup("default-src 'none'")
    """
    scripts = f"'self' {_source(script)}" if script else "'none'"
    rules = {
        "default-src": "'none'",
        "img-src": "'self' data:",
        "style-src": _source(styles),
        "script-src": scripts,
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return Markup("; ".join(f"{name} {sources}" for name, sources in rules.items()))


def _source(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _human_bytes(size: int) -> str:
    """Return a size for people.

    >>> _human_bytes(999), _human_bytes(56_500_000)
    ('999 B', '56.5 MB')
    """
    if size < 1000:
        return f"{size} B"
    power = min(4, int(math.log10(size) // 3))
    return f"{size / 1000**power:.3g} {'kMGT'[power - 1]}B"


def _plural(count: int, noun: str, nouns: str = "") -> str:
    """Return a number of things.

    >>> _plural(1, "run"), _plural(2000, "run"), _plural(2, "class", "classes")
    ('1 run', '2,000 runs', '2 classes')
    """
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def _short(value: float) -> str:
    """Return three digits of a number.

    >>> _short(2799267840.0), _short(294.52), _short(0.0)
    ('2.8e9', '295', '0')
    """
    return f"{value:.3g}".replace("e+0", "e").replace("e+", "e")


def _unbroken(text: str) -> str:
    """Return a text whose numbers stay with their per cents."""
    return text.replace(" %", "\u00a0%")
