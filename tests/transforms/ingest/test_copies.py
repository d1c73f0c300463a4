"""Copies that contradict one another are found whatever stands between them."""

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transforms.ingest.copies import find_copies, is_across_splits, is_of_two_classes
from transforms.storage.parquet import write_table
from transforms.storage.parts import part_name, stable_part
from transforms.storage.schemas import LABELLED_MANIFEST

ROWS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(["train", "val"]),
        st.sampled_from(["", "cat", "dog"]),
        st.sampled_from(["accepted", "duplicate", "left_out", "rejected"]),
    ),
    max_size=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(ROWS)
def test_each_is_compared_with_the_first_of_its_bytes(output, made):
    rows = [
        {
            "key": f"{place}.png",
            "sha256": None if status == "rejected" else letter * 64,
            "split": split,
            "label": label,
            "status": status,
        }
        for place, (letter, split, label, status) in enumerate(made)
    ]
    for part in range(2):
        own = [row for row in rows if stable_part(row["key"], 2) == part]
        table = pa.Table.from_pylist(own, LABELLED_MANIFEST)
        write_table(output, part_name("manifest", part, 2), table)
    wanted = []
    there = [row for row in rows if row["status"] in ("accepted", "duplicate")]
    for row in there:
        first = next(other for other in there if other["sha256"] == row["sha256"])
        splits = first["split"] != row["split"]
        classes = bool(
            first["label"] and row["label"] and first["label"] != row["label"]
        )
        if splits or classes:
            wanted.append((row["key"], first["key"], splits, classes))
    assert [
        (row["key"], row["first_key"], is_across_splits(row), is_of_two_classes(row))
        for row in find_copies(output)
    ] == wanted
