"""Conditions on pictures: what they keep, and what is said of one that is none."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.elements import ImageError, Reason
from transforms.ingest.filters import check_labels, parse_filter


def keeps(text, width=0, height=0, label=""):
    reasons = []
    try:
        parse_filter(text).check_size(width, height)
        parse_filter(text).check_label(label)
    except ImageError as error:
        reasons.append(error.reason)
    assert reasons in ([], [Reason.FILTERED])
    return not reasons


@pytest.mark.parametrize(
    ("text", "kept", "left_out"),
    [
        ("min-side>=256", (256, 300), (300, 255)),
        ("min-side > 256", (257, 300), (300, 256)),
        ("max-side<1000", (999, 10), (10, 1000)),
        ("max-side!=64", (64, 65), (64, 63)),
        ("aspect<=16:9", (1920, 1080), (1921, 1080)),
        ("aspect>=0.75", (75, 100), (74, 100)),
        # Two thirds are no decimal number: nothing is rounded.
        ("aspect=2:3", (200, 300), (666, 1000)),
    ],
)
def test_sizes(text, kept, left_out):
    assert keeps(text, *kept)
    assert not keeps(text, *left_out)


@pytest.mark.parametrize(
    ("text", "kept", "left_out"),
    [
        ("label=cat", "cat", "dog"),
        ("label=cat, dog", "dog", "bird"),
        ("label!=cat,dog", "bird", "cat"),
        ('label="a, b",c', "a, b", "a"),
        ("label!=", "cat", ""),
        ("label=", "", "cat"),
        ('label="say ""x"""', 'say "x"', "say x"),
        # One name, composed or not.
        ("label=caf\u00e9", "cafe\u0301", "cafe"),
        ("label=a=b", "a=b", "a"),
        ("label=\u05d0\u05d1", "\u05d0\u05d1", "\u05d1\u05d0"),
        ('label="two\nlines"', "two\nlines", "two"),
    ],
)
def test_labels(text, kept, left_out):
    assert keeps(text, label=kept)
    assert not keeps(text, label=left_out)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "found '', which is no condition; expected min-side, max-side, aspect or"),
        ("min-side", "found 'min-side', which is no condition"),
        ("side>=3", "found 'side', which is not known; expected min-side, max-side"),
        ("min-side>=", "a side is a whole number of pixels, found ''"),
        ("min-side>=-1", "a side is a whole number of pixels, found '-1'"),
        ("min-side>=256px", "found '256px'"),
        ("min-side>=1.5", "found '1.5'"),
        ("min-side==3", "found '=3'"),
        ("min-side=>3", "found '>3'"),
        (
            "aspect<=16/9",
            "an aspect is width by height, as in 1.5 or 3:2, found '16/9'",
        ),
        ("aspect<=1:0", "found '1:0'"),
        ("aspect>=nan", "found 'nan'"),
        ("aspect>=0.0", "found '0.0'"),
        ("label>=cat", "labels have no order, found '>='; a label is compared with ="),
        ('label="cat', "a quote is not closed"),
        ("Label=cat", "found 'Label', which is not known"),
    ],
)
def test_what_is_no_condition_is_named_with_what_is_possible(text, problem):
    with pytest.raises(ValueError, match=r"found|labels") as error:
        parse_filter(text)
    assert problem in str(error.value)


def test_a_label_that_cannot_be_is_named_with_those_that_can():
    filters = [parse_filter("label!=cta")]
    with pytest.raises(
        ValueError, match="the label 'cta'; the labels are 'cat', 'dog'"
    ):
        check_labels(filters, ["cat", "dog"])
    check_labels([parse_filter("label=cat,"), parse_filter("min-side>3")], ["cat"])


@given(st.integers(1, 9999), st.integers(1, 9999), st.integers(1, 9999))
def test_of_two_opposite_conditions_one_holds(width, height, number):
    for what in ("min-side", "max-side"):
        assert keeps(f"{what}>={number}", width, height) != keeps(
            f"{what}<{number}", width, height
        )
    share = f"{number}:{height}"
    assert keeps(f"aspect<={share}", width, height) == (width <= number)
    assert parse_filter(f"aspect={share}").number == Fraction(number, height)
