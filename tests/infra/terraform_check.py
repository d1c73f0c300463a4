"""Checks Terraform files without Terraform's provider, against an extract of it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import hcl2

# What Terraform itself knows in every resource.
META = {"count", "depends_on", "for_each", "lifecycle", "provider"}

_REFERENCE = re.compile(r"\b(google_\w+)\.(\w+)(?:\[[^]]*\])?(?:\.(\w+))?")
_NAMED = re.compile(r"\b(var|local)\.(\w+)")
_QUOTED = re.compile(r'"[^"]*"')


def read(text: str) -> dict[str, Any]:
    """Return a file of HCL as python-hcl2 gives it, without the quotes of strings.

    An expression is a string in `${}`.
    """
    return _plain(hcl2.loads(text))


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value[1:-1] if _QUOTED.fullmatch(value) else value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {
            _plain(name): _plain(item)
            for name, item in value.items()
            if name != "__comments__"
        }
    return value


def resources(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield type, name and body of each resource."""
    for block in document.get("resource", ()):
        for kind, named in block.items():
            for name, body in named.items():
                yield kind, name, body


def complaints(texts: Mapping[str, str], extract: Mapping[str, Any]) -> list[str]:
    """Return what is wrong in some files, a line each.

    Args:
        texts: Files by name.
        extract: `resources` of google_provider.json.
    """
    documents = {name: read(text) for name, text in texts.items()}
    known = {
        "var": {
            name
            for document in documents.values()
            for block in document.get("variable", ())
            for name in block
        },
        "local": {
            name
            for document in documents.values()
            for block in document.get("locals", ())
            for name in block
        },
    }
    declared = {
        (kind, name)
        for document in documents.values()
        for kind, name, _ in resources(document)
    }
    found = []
    for file, document in documents.items():
        for kind, name, body in resources(document):
            place = f"{file}: {kind}.{name}"
            if kind not in extract:
                found.append(f"{place}: no such resource in the extract")
                continue
            found += _block(place, body, extract[kind]["arguments"], META)
        for kind, name, attribute in _REFERENCE.findall(_expressions(document)):
            there = extract.get(kind, {"arguments": (), "exports": ()})
            if (kind, name) not in declared:
                found.append(f"{file}: {kind}.{name} is not declared")
            elif attribute and attribute not in {
                *there["exports"],
                *there["arguments"],
            }:
                found.append(f"{file}: {kind} has no {attribute}")
        for kind, name in _NAMED.findall(_expressions(document)):
            if name not in known[kind]:
                found.append(f"{file}: {kind}.{name} is not declared")
    return found


def _block(
    place: str, body: Mapping[str, Any], schema: Mapping[str, Any], meta: set[str]
) -> Iterator[str]:
    for name in schema:
        if schema[name]["required"] and name not in body:
            yield f"{place}: {name} is missing"
    for name, value in body.items():
        if name in meta or name == "__is_block__":
            continue
        if name not in schema:
            yield f"{place}: no argument {name}"
            continue
        blocks = isinstance(value, list) and any(
            isinstance(item, dict) and item.get("__is_block__") for item in value
        )
        expected = schema[name]
        if blocks != ("block" in expected):
            yield f"{place}: {name} is {'no' if blocks else 'a'} block"
        elif blocks:
            if len(value) > 1 and not expected["many"]:
                yield f"{place}: {name} only once"
            for item in value:
                yield from _block(f"{place}.{name}", item, expected["block"], set())
        elif not _fits(value, expected["type"]):
            yield f"{place}: {name} = {value!r} is no {expected['type']}"


def _fits(value: Any, kind: str) -> bool:
    if isinstance(value, str) and value.startswith("${"):
        return True
    types = {"string": str, "list": list, "map": dict, "bool": bool}
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, types[kind])


def _expressions(value: Any) -> str:
    """Return all that is computed in a document; lines of expressions."""
    if isinstance(value, str):
        return value if "${" in value else ""
    if isinstance(value, dict):
        return "\n".join(map(_expressions, value.values()))
    return "\n".join(map(_expressions, value)) if isinstance(value, list) else ""
