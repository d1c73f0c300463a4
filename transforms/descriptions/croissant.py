"""Croissant: what a data set is and what its rows hold, as JSON-LD for machines.

By the specification 1.0 of MLCommons, https://docs.mlcommons.org/croissant/docs/croissant-spec.html.
Nothing needs its library; the tests validate with it. Files are named relative to the
data set, so it may be moved.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

CROISSANT: Final = "croissant.json"

PARQUET: Final = "application/x-parquet"

# Of the form; nobody counts the versions of what is in a data set.
_VERSION: Final = "1.0.0"

_CONTEXT: Final = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}

TEXT: Final = "sc:Text"
INTEGER: Final = "sc:Integer"
NUMBER: Final = "sc:Float"
BOOLEAN: Final = "sc:Boolean"
IMAGE: Final = "sc:ImageObject"


@dataclasses.dataclass(frozen=True, slots=True)
class Files:
    """Some files of the data set.

    Attributes:
        name: Name of the set of files.
        about: What they are.
        pattern: Pattern of their names, relative to the data set.
        kind: Their type, as MIME names it.
    """

    name: str
    about: str
    pattern: str
    kind: str


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """A value of each row.

    Attributes:
        name: Its name.
        about: What it says.
        type: Type of the value.
        column: Column of the table.
        inside: Place in a column of several values, as JSONPath; '' for the whole.
        repeated: Whether it is a list.
    """

    name: str
    about: str
    type: str
    column: str
    inside: str = ""
    repeated: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Records:
    """A table of the data set.

    Attributes:
        name: Its name.
        about: What a row is.
        files: Name of the files that it is in, Parquet.
        fields: The values of a row; the first one is unlike in all of them.
    """

    name: str
    about: str
    files: str
    fields: Sequence[Field]


def croissant(
    name: str,
    description: str,
    licenses: Sequence[str],
    files: Sequence[Files],
    records: Sequence[Records],
) -> dict[str, Any]:
    """Return the content of `croissant.json`.

    Args:
        name: Name of the data set.
        description: What it is.
        licenses: URLs or names of the licences that pictures are under; none where
            nobody says.
        files: All files that matter.
        records: Tables among them.
    """
    about: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": description,
        "version": _VERSION,
        "distribution": [
            {
                "@type": "cr:FileSet",
                "@id": one.name,
                "name": one.name,
                "description": one.about,
                "encodingFormat": one.kind,
                "includes": one.pattern,
            }
            for one in files
        ],
        "recordSet": [_records(one) for one in records],
    }
    if licenses:
        about["license"] = licenses[0] if len(licenses) == 1 else list(licenses)
    return about


def _records(records: Records) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": records.name,
        "name": records.name,
        "description": records.about,
        "key": {"@id": f"{records.name}/{records.fields[0].name}"},
        "field": [_field(records, field) for field in records.fields],
    }


def _field(records: Records, field: Field) -> Mapping[str, Any]:
    source: dict[str, Any] = {
        "fileSet": {"@id": records.files},
        "extract": {"column": field.column},
    }
    if field.inside:
        source["transform"] = {"jsonPath": field.inside}
    found: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{records.name}/{field.name}",
        "name": field.name,
        "description": field.about,
        "dataType": field.type,
        "source": source,
    }
    if field.repeated:
        found["repeated"] = True
    return found
