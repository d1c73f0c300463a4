"""What the scripts of a page read: JSON whose fields have names.

A document opened from disk may load scripts but may not fetch data, so data that does
not stand inside a page is a script itself: one call.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

# JSON text is script text once these are escaped: no name can end the element, open
# a comment or break the line. All of them occur inside JSON strings only.
_SCRIPT_ESCAPES: Final = str.maketrans(
    {character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}
)


def script_json(value: Any) -> str:
    r"""Return canonical compact JSON that is safe inside a script element.

    >>> script_json({"b": "</script>", "a": 1})
    '{"a":1,"b":"\\u003c/script\\u003e"}'
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.translate(_SCRIPT_ESCAPES)


def data_script(name: str, data: Any) -> bytes:
    """Return the script with one part of a gallery's data: a single call.

    Args:
        name: Under which the gallery asks for it.
        data: Any JSON.
    """
    return f"stylebeam.page({script_json(name)},{script_json(data)});\n".encode()


def field_table(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return rows as a list of field names and a list of values for each row.

    Names once instead of in every row: a page may have thousands of rows. A field that
    is None in every row is left out.

    Args:
        rows: All with the same fields, in the same order.

    >>> field_table([{"key": "a", "ssim": None}, {"key": "b", "ssim": None}])
    {'fields': ['key'], 'rows': [['a'], ['b']]}
    """
    fields = [
        field
        for field in (rows[0] if rows else ())
        if any(row[field] is not None for row in rows)
    ]
    return {"fields": fields, "rows": [[row[f] for f in fields] for row in rows]}
