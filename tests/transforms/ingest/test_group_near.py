"""Groups of near-duplicates have one split; the choice is one of the pictures alone."""

import dataclasses
import hashlib
import itertools

import apache_beam as beam
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st

from transforms.ingest import group_near
from transforms.ingest.group_near import WAITING, GroupNearDuplicates, decisions
from transforms.ingest.near_duplicates import NEAR_BITS
from transforms.ingest.spill import Look
from transforms.ingest.whole_shards import Committed
from transforms.storage.folder import OutdatedError
from transforms.storage.segments import merged_rows

BASE = 0x1234_5678_9ABC_DEF1


@pytest.fixture(scope="session")
def settings(settings):
    return dataclasses.replace(settings, near_duplicates="drop")


def look(key, value, pixels=100, flat=False, split="", data=None):
    digest = hashlib.sha256((data or key).encode()).hexdigest()
    about = Look(f"{value:016x}", pixels, flat, split)
    return {"key": key, "sha256": digest, "look": tuple(about)}


def decide(rows, settings):
    ordered = sorted(rows, key=lambda row: row["key"])
    return {
        row["key"]: what for row, what in decisions(lambda: iter(ordered), settings)
    }


def test_a_chain_is_one_group_and_only_what_is_near_the_kept_one_is_dropped(
    settings,
):
    # b is near to a and c, which are not near to each other.
    rows = [look("a", BASE), look("b", BASE ^ 0b11), look("c", BASE ^ 0b11111)]
    rows.append(look("far", BASE ^ 0xFFFF))
    found = decide(rows, settings)
    assert [found[key].get("near_group") for key in ("a", "b", "c", "far")] == [
        "a", "a", "a", None,
    ]  # fmt: skip
    assert len({found[key]["split"] for key in "abc"}) == 1
    assert [found[key].get("duplicate_of") for key in "abc"] == [None, "a", None]
    assert found["b"]["message"] == "looks like 'a', which is kept"
    # The largest is kept: then both others are near to it.
    rows[1] = look("b", BASE ^ 0b11, pixels=101)
    found = decide(rows, settings)
    assert [found[key].get("duplicate_of") for key in "abc"] == ["b", None, "b"]
    assert {found[key]["near_group"] for key in "abc"} == {"b"}
    reported = decide(rows, dataclasses.replace(settings, near_duplicates="report"))
    assert all("status" not in what for what in reported.values())
    assert {key: what["split"] for key, what in reported.items()} == {
        key: what["split"] for key, what in found.items()
    }


def test_copies_are_no_near_duplicates_and_go_with_the_one_that_stands_for_them(
    settings,
):
    rows = [look("a", BASE, data="x"), look("b", BASE, data="x")]
    assert all("near_group" not in what for what in decide(rows, settings).values())
    rows.append(look("c", BASE ^ 1, pixels=200))
    found = decide(rows, settings)
    assert [found[key].get("duplicate_of") for key in "abc"] == ["c", "c", None]
    rows[2] = look("c", BASE ^ 1, pixels=50)
    # The copy of what is kept is left to the writer of the shard, where both are.
    found = decide(rows, settings)
    assert [found[key].get("duplicate_of") for key in "abc"] == [None, None, "a"]
    assert found["a"]["shard"] == found["b"]["shard"]


def test_flat_pictures_and_those_of_other_splits_are_nobodys(
    settings,
):
    folders = dataclasses.replace(settings, split_from="folder", split_shards=(1, 1, 0))
    rows = [
        look("a", BASE, split="train"),
        look("b", BASE, split="val"),
        look("c", BASE, split="train", flat=True),
        look("d", BASE, split="train", data="other"),
    ]
    found = decide(rows, folders)
    assert [found[key]["split"] for key in "abcd"] == ["train", "val", "train", "train"]
    assert [found[key].get("near_group") for key in "abcd"] == ["a", None, None, "a"]


PICTURES = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sets(st.integers(0, 63), max_size=5),
        st.integers(1, 3),
        st.integers(0, 4),
    ),
    max_size=12,
)


@given(PICTURES)
def test_no_group_straddles_and_every_choice_can_be_explained(settings, made):
    rows = [
        look(
            f"{place:02d}",
            base * BASE % 2**64 ^ sum(1 << bit for bit in turned),
            pixels,
            flat=not share,
        )
        for place, (base, turned, pixels, share) in enumerate(made)
    ]
    by_key = {row["key"]: Look(*row["look"]) for row in rows}
    found = decide(rows, settings)

    def near(one, other):
        values = (int(by_key[key].hash, 16) for key in (one, other))
        return (next(values) ^ next(values)).bit_count() <= NEAR_BITS

    for one, other in itertools.combinations(by_key, 2):
        if near(one, other) and not (by_key[one].flat or by_key[other].flat):
            assert found[one]["near_group"] == found[other]["near_group"]
            assert found[one]["split"] == found[other]["split"]
            assert "status" in found[one] or "status" in found[other]
    for key, what in found.items():
        if what.get("near_group") is None:
            assert "status" not in what
        elif "status" in what:
            kept = what["duplicate_of"]
            assert near(key, kept)
            assert "status" not in found[kept]
            assert by_key[kept].pixels >= by_key[key].pixels
        first = what.get("near_group") or key
        assert what["split"] == found[first]["split"]


@pytest.fixture
def waiting(segments):
    def write(rows):
        return segments([(WAITING, row) for row in rows])

    return write


def told(shard_and_segment):
    shard, segment = shard_and_segment
    for row in merged_rows([segment]):
        yield shard, row["key"], row["change"].get("near_group")


def test_records_get_their_shards_whatever_the_order(output, settings, waiting):
    rows = [look("a", BASE), look("b", BASE ^ 1), look("c", ~BASE % 2**64)]
    found = decide(rows, settings)
    names = {
        key: f"tiny-{what['split']}.tfrecord-{what['shard']:05d}-of-"
        f"{settings.shards_of(what['split']):05d}"
        for key, what in found.items()
    }
    expected = [
        (names["a"], "a", "a"),
        (names["b"], "b", "a"),
        (names["c"], "c", None),
    ]
    # In bundles of their own, one of which ran twice.
    given = [*waiting(rows[2:]), *waiting(rows[1::-1]), *waiting(rows[:1])]
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        shards = (
            pipeline
            | beam.Create(given)
            | GroupNearDuplicates(output, settings, Committed())
            | beam.FlatMap(told)
        )
        assert_that(shards, equal_to(expected))


def committed(row, change):
    """Return a picture as an earlier run left it in a whole shard."""
    there = {"key": row["key"], "near_group": None, "duplicate_of": None}
    return {**row, "committed": {**there, "status": "accepted", **change}}


def test_a_run_that_goes_on_keeps_what_was_decided_or_says_that_it_cannot(
    output, settings, waiting, monkeypatch
):
    rows = [look("a", BASE), look("b", BASE ^ 1), look("late", BASE ^ 0xFFFF)]
    found = decide(rows, settings)
    there = [committed(row, found[row["key"]]) for row in rows[:2]]
    monkeypatch.setattr(group_near, "committed_looks", lambda *_: iter(there))

    def run(*new):
        places = [segment for _, segment in waiting(new)]
        made = group_near.group_records(
            (WAITING, places), output, settings, Committed()
        )
        return [row for segment in made for row in told(segment)]

    assert [key for _, key, _ in run(rows[2])] == ["late"]
    # Larger than both, and near: they belong to it now, and one of them was kept.
    with pytest.raises(OutdatedError, match=r"'a' belongs .*--overwrite"):
        run(look("late", BASE ^ 0b11, pixels=500))
