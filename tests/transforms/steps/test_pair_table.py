"""A file of pairs: every row becomes cells or a bad_pair."""

import hashlib

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.elements import Count, ImageRef, Reason
from transforms.steps.pair_table import (
    PairFile,
    ReadBadPairs,
    bad_pairs,
    judge_pairs,
    write_pair_table,
    zip_pairs,
)
from transforms.storage.folder import OutputFolder
from transforms.stylize.cells import StyleShare
from transforms.stylize.pairing import RowsPairing, TablePairing

CONTENTS, STYLES = {"a.jpg", "b.jpg"}, {"s.png", "t.png"}


@pytest.fixture
def judge(tmp_path):
    def read(text, name="pairs.csv"):
        (tmp_path / name).write_text(text, "utf-8")
        file = PairFile(str(tmp_path / name))
        return list(judge_pairs(file, CONTENTS, STYLES, (0.5, 1.0)))

    return read


def test_rows_take_the_alphas_of_the_command_unless_they_have_their_own(judge):
    rows = judge("content,style,alpha\na.jpg,s.png,\nb.jpg,t.png,0.25;1\n")
    assert [(r["content"], r["alpha"]) for r in rows] == [
        ("a.jpg", 0.5),
        ("a.jpg", 1.0),
        ("b.jpg", 0.25),
        ("b.jpg", 1.0),
    ]
    assert not any(row["problem"] for row in rows)


def test_weights_are_shares_and_zero_drops_a_style(judge):
    blend, alone = judge(
        "content,style,weights,alpha\n"
        "a.jpg,s.png;t.png,3;1,1\n"
        "a.jpg,s.png;t.png,1;0,1\n"
    )
    assert [(s["key"], s["weight"]) for s in blend["styles"]] == [
        ("s.png", 0.75),
        ("t.png", 0.25),
    ]
    assert [(s["key"], s["weight"]) for s in alone["styles"]] == [("s.png", 1.0)]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("c.jpg,s.png,,,", "there is no content 'c.jpg'"),
        ("a.jpg,u.png,,,", "there is no style 'u.png'"),
        ("a.jpg,,,,", "names no style"),
        ("a.jpg,s.png;t.png,1;-1,,", "negative"),
        ("a.jpg,s.png;t.png,0;0,,", "all 0"),
        ("a.jpg,s.png;t.png,1,,", "1 weights for 2 styles"),
        ("a.jpg,s.png,nan,,", "finite"),
        ("a.jpg,s.png,x,,", "not a number"),
        ("a.jpg,s.png,,1.5,", r"alpha 1.5"),
        ("a.jpg,s.png,,0.1234,", r"alpha 0.1234"),
        ("a.jpg,s.png,,,gone.png", "mask 'gone.png'"),
        ("a.jpg;b.jpg,s.png,,,", r"names 2 contents, expected 1. In a CSV the `;`"),
        (",s.png,,,", "names no contents, expected 1"),
        ("a.jpg,s.png;,,,", "expected a text as style, found nothing"),
        ("a.jpg,s.png;t.png,;1,,", "expected a number as weight, found nothing"),
        ("a.jpg,s.png;t.png,1e308;1e308,,", "weights too large to add up"),
        ("a.jpg,s.png;t.png,1e400;1,,", "not a finite number"),
        ("a.jpg,s.png,,0.5;,", "expected a number as alpha, found nothing"),
        ("a.jpg,s.png,,0_5,", "alpha '0_5' is not a number"),
        ("a.jpg,s.png,,\u0661,", "is not a number"),
        ("a.jpg,s.png,,50%,", "alpha '50%' is not a number"),
        ("a.jpg,s.png,,,m.png;n.png", "2 masks for 1 styles"),
        ("a.jpg,s.png,,,,more", "6 cells for 5 columns"),
        ("a.jpg,s.png", "2 cells for 5 columns"),
        (f"{'x' * 99999},s.png,,,", "there is no content 'xxx"),
        (f"a.jpg,{'x;' * 9999}x,,,", "there is no style 'x'"),
        (f"a.jpg,s.png,,0.{'1' * 9999},", "alpha 0.111"),
    ],
)
def test_a_row_that_cannot_be_used_is_a_bad_pair(judge, tmp_path, line, problem):
    rows = judge(f"content,style,weights,alpha,mask\n{line}\nb.jpg,s.png,,1,\n")
    assert len(rows) == 2
    path = write_pair_table(OutputFolder(str(tmp_path / "out")), rows)
    (failure,) = bad_pairs(path)
    assert failure.reason == Reason.BAD_PAIR
    assert problem in failure.message
    assert failure.message.startswith("row 1: ")
    assert len(failure.message) < 300
    assert len(failure.key) < 300


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("pairs.csv", "content,alpha\na.jpg,1\n", "must have the columns"),
        ("pairs.csv", "content,style,aplha\n", "must have the columns"),
        ("pairs.csv", "", "must have the columns"),
        ("pairs.parquet", "no", "not a Parquet file"),
        ("pairs.txt", "content,style\n", "must end in"),
    ],
)
def test_a_file_that_is_no_table_is_refused(judge, name, text, problem):
    with pytest.raises(ValueError, match=problem):
        judge(text, name)


@pytest.fixture
def judge_parquet(tmp_path):
    """Return the judgement of a Parquet file of columns, with both styles."""

    def read(**columns):
        path = str(tmp_path / "pairs.parquet")
        pq.write_table(pa.table(columns), path)
        return list(judge_pairs(PairFile(path), CONTENTS, STYLES, (1.0,)))

    return read


def test_a_gap_among_masks_leaves_its_style_without_one(judge, judge_parquet, tmp_path):
    (tmp_path / "m.png").write_bytes(b"pixels")
    (row,) = judge("content,style,alpha,mask\na.jpg,s.png;t.png,1,;m.png\n")
    assert [s["mask_sha256"] is None for s in row["styles"]] == [True, False]
    (row,) = judge_parquet(
        content=["a.jpg"], style=[["s.png", "t.png"]], mask=[[None, "m.png"]]
    )
    assert [s["mask_sha256"] is None for s in row["styles"]] == [True, False]


def test_minus_zero_is_zero(judge):
    (row,) = judge("content,style,alpha\na.jpg,s.png,-0.0\n")
    assert str(row["alpha"]) == "0.0"


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"content": [["a.jpg", "b.jpg"]]}, "names 2 contents, expected 1"),
        ({"content": [[]]}, "names no contents, expected 1"),
        ({"content": [5]}, "expected a text as content, found 5 of type int"),
        ({"content": [{"key": "a.jpg"}]}, "a value of type struct<key: string>"),
        ({"content": pa.nulls(1)}, "names no contents"),
        ({"content": [b"\xff\xfea.jpg"]}, "there is no content"),
        ({"style": [[None, "s.png"]]}, "expected a text as style, found nothing"),
        ({"style": [["s.png", "s.png"]], "weights": [["1", None]]}, "found nothing"),
        ({"weights": [True]}, "expected a number as weight, found True of type bool"),
        ({"weights": [[1.0, 2.0]]}, "2 weights for 1 styles"),
        ({"alpha": [float("nan")]}, "alpha nan is not a finite number"),
        ({"alpha": ["0.5;1"]}, "alpha '0.5;1' is not a number"),
        ({"alpha": pa.array([0], pa.timestamp("s"))}, "a value of type timestamp"),
        ({"mask": [1]}, "expected a text as mask, found 1 of type int"),
        ({"mask": ["nul\0.png"]}, "cannot be read"),
    ],
)
def test_a_parquet_row_of_other_types_is_a_bad_pair(judge_parquet, columns, problem):
    (row,) = judge_parquet(**{"content": ["a.jpg"], "style": ["s.png"], **columns})
    assert problem in row["problem"]
    assert row["problem"].startswith("row 1: ")


def test_one_bad_row_stops_no_other(judge_parquet):
    rows = judge_parquet(
        content=[b"a.jpg", b"\xff", b"b.jpg"],
        style=["s.png"] * 3,
        alpha=pa.array([0.30000001, 1, 0.5], pa.float32()),
    )
    assert [(r["content"], r["alpha"], bool(r["problem"])) for r in rows] == [
        ("a.jpg", 0.3, False),
        ("\\xff", 1.0, True),
        ("b.jpg", 0.5, False),
    ]


@pytest.mark.parametrize(
    ("name", "alphas"),
    [("f32.parquet", [0.3, 0.5]), ("bytes.parquet", [1.0, 1.0])],
)
def test_reported_parquet_files_are_read(shared, name, alphas):
    file = PairFile(str(shared / "data" / "reports" / name))
    contents, styles = {"plain.jpg", "second.jpg"}, {"s0.jpg", "s1.jpg"}
    rows = list(judge_pairs(file, contents, styles, (1.0,)))
    assert [row["alpha"] for row in rows] == alphas
    assert not any(row["problem"] for row in rows)


@pytest.mark.parametrize(
    ("name", "count"),
    [("twocontents.csv", 1), ("listcontent.parquet", 1), ("maskint.parquet", 2)],
)
def test_reported_files_are_refused_row_by_row(shared, name, count):
    file = PairFile(str(shared / "data" / "reports" / name))
    contents, styles = {"plain.jpg", "second.jpg"}, {"s0.jpg", "s1.jpg"}
    rows = list(judge_pairs(file, contents, styles, (1.0,)))
    assert [bool(row["problem"]) for row in rows] == [True] * count


def test_names_are_compared_composed_and_two_alike_are_ambiguous(shared):
    file = PairFile(str(shared / "data" / "reports" / "nfc.csv"))
    decomposed = "re\u0301ne.jpg"
    (row,) = judge_pairs(file, {decomposed}, {"s0.jpg"}, (1.0,))
    assert (row["content"], row["problem"]) == (decomposed, "")
    (row,) = judge_pairs(file, {decomposed, "r\xe9ne.jpg"}, {"s0.jpg"}, (1.0,))
    assert "is ambiguous" in row["problem"]


def test_a_failure_has_the_key_that_its_content_has(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("content,style,alpha\nr\xe9ne.jpg,s.png,2\n", "utf-8")
    (row,) = judge_pairs(PairFile(str(path)), {"re\u0301ne.jpg"}, STYLES, (1.0,))
    assert row["content"] == "re\u0301ne.jpg"
    assert "alpha 2.0" in row["problem"]


@pytest.mark.parametrize("others", [set(), {"a.jpg", "x", "y.jpg"}])
def test_a_name_that_needs_an_escape_is_never_taken_for_another(tmp_path, others):
    names = {" a.jpg", "x;y.jpg", *others}
    path = tmp_path / "pairs.csv"
    for cell, way in ((" a.jpg", r"\ a.jpg"), ("x;y.jpg", r"x\;y.jpg")):
        for line in (f"{cell},s.png", f"s.png,{cell}"):
            path.write_text(f"content,style\n{line}\n")
            file = PairFile(str(path))
            (row,) = judge_pairs(file, names | {"s.png"}, names | {"s.png"}, (1.0,))
            assert f"'{cell}' is written `{way}` in a CSV" in row["problem"]


def test_rows_that_a_quote_holds_are_not_lost_as_one_bad_pair(judge):
    # Both quotes are at ends of cells, so that it is a table by all rules.
    rows = "".join(f"a.jpg,s.png,0.{i:03}\n" for i in range(1, 300))
    text = f'content,style,alpha\na.jpg,"s.png,1\n{rows}a.jpg,t.png",1\n'
    with pytest.raises(ValueError, match="lines 2 to 302 are one row") as caught:
        judge(text)
    assert len(str(caught.value)) < 400


def test_a_name_with_a_line_end_that_is_not_there_stops_nothing(judge):
    text = 'content,style,alpha\n"new\nline.jpg",s.png,1\na.jpg,s.png,1\n'
    first, second = judge(text)
    assert "there is no content 'new\\nline.jpg'" in first["problem"]
    assert not second["problem"]


def test_parquet_has_lists(tmp_path):
    mask = tmp_path / "masks" / "m.png"
    mask.parent.mkdir()
    mask.write_bytes(b"pixels")
    table = pa.table(
        {
            "content": ["a.jpg", "b.jpg"],
            "style": [["s.png", "t.png"], ["s.png"]],
            "weights": [[1.0, 3.0], None],
            "alpha": [0.5, 1.0],
            "mask": [["masks/m.png"], None],
        }
    )
    pq.write_table(table, tmp_path / "pairs.parquet")
    file = PairFile(str(tmp_path / "pairs.parquet"))
    first, second = judge_pairs(file, CONTENTS, STYLES, (1.0,))
    digest = hashlib.sha256(b"pixels").hexdigest()
    assert [s["mask_sha256"] for s in first["styles"]] == [digest, None]
    assert [s["weight"] for s in first["styles"]] == [0.25, 0.75]
    assert second["styles"][0]["mask"] is None


def test_workers_and_launcher_see_the_same_recipes(judge, tmp_path):
    rows = judge(
        "content,style,weights\nb.jpg,t.png,\na.jpg,s.png;t.png,1;1\nb.jpg,s.png,\n"
    )
    path = write_pair_table(OutputFolder(str(tmp_path / "out")), rows)
    bank = [StyleShare("s-1", "s.png", "11"), StyleShare("t-2", "t.png", "22")]
    for key, count in (("a.jpg", 2), ("b.jpg", 4), ("c.jpg", 0)):
        ref = ImageRef(key, "photos", f"/photos/{key}")
        found = [
            list(pairing.recipes(ref, "cc", bank))
            for pairing in (TablePairing(path), RowsPairing(rows))
        ]
        assert found[0] == found[1]
        assert len(found[0]) == count


def test_rows_of_a_style_that_could_not_be_decoded_are_not_planned(judge):
    rows = judge("content,style\na.jpg,s.png\na.jpg,t.png;s.png\na.jpg,t.png\n")
    bank = [StyleShare("t-2", "t.png", "22")]
    ref = ImageRef("a.jpg", "photos", "/photos/a.jpg")
    recipes = list(RowsPairing(rows).recipes(ref, "cc", bank))
    assert [recipe.alpha for recipe in recipes] == [0.5, 1.0]
    assert {recipe.styles[0].key for recipe in recipes} == {"t.png"}


def test_zip_pairs_by_the_order_of_the_keys():
    rows = list(zip_pairs(["b", "a"], ["t", "s"], (1.0,)))
    assert [(r["content"], r["styles"][0]["key"]) for r in rows] == [
        ("a", "s"),
        ("b", "t"),
    ]


def test_bad_rows_are_failed_cells_in_a_pipeline(judge, tmp_path):
    rows = judge("content,style\nc.jpg,s.png\na.jpg,s.png\nb.jpg,\n")
    path = write_pair_table(OutputFolder(str(tmp_path / "out")), rows)
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        bad = pipeline | ReadBadPairs(path)
        assert_that(
            bad.counts | beam.CombinePerKey(sum),
            equal_to([(Count.CELLS_PLANNED, 2), (Count.CELLS_FAILED, 2)]),
            "counts",
        )
        told = bad.failures | beam.Map(lambda f: (f.key, f.stage, str(f.reason)))
        expected = [(key, "ReadPairs", "bad_pair") for key in ("c.jpg", "b.jpg")]
        assert_that(told, equal_to(expected), "failures")


def test_other_pairings_have_no_bad_rows():
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        bad = pipeline | ReadBadPairs(None)
        assert_that(bad.counts, equal_to([]), "counts")
        assert_that(bad.failures, equal_to([]), "failures")
