"""Which styles a content meets: sample, blends, tables."""

import collections

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from transforms.elements import ImageError, ImageRef
from transforms.storage.parts import unit_hash
from transforms.stylize.cells import StyleShare
from transforms.stylize.pairing import (
    BlendPairing,
    GridPairing,
    SamplePairing,
    corner_weights,
    is_kept,
    sample_styles,
    style_digests,
)

CONTENT = ImageRef("a.jpg", "photos", "/photos/a.jpg")


def digest(name: object) -> str:
    import hashlib

    return hashlib.sha256(str(name).encode()).hexdigest()


def styles(count: int) -> list[StyleShare]:
    return [StyleShare(f"s{i}", f"{i:03d}.png", digest(i)) for i in range(count)]


def test_grid_is_every_style_with_every_alpha() -> None:
    recipes = list(GridPairing((0.25, 1.0)).recipes(CONTENT, "cc", styles(2)))
    found = [(r.styles[0].id, r.places, r.alpha) for r in recipes]
    assert found == [
        ("s0", (0,), 0.25),
        ("s0", (0,), 1.0),
        ("s1", (1,), 0.25),
        ("s1", (1,), 1.0),
    ]


@hypothesis.given(count=st.integers(1, 40), seed=st.integers(-5, 5), data=st.data())
def test_sample_does_not_depend_on_the_order(
    count: int, seed: int, data: st.DataObject
) -> None:
    bank = style_digests([digest(i) for i in range(count)])
    wanted = data.draw(st.integers(1, count))
    order = np.array(data.draw(st.permutations(range(count))))
    chosen = sample_styles(seed, digest("c"), bank, wanted)
    shuffled = sample_styles(seed, digest("c"), bank[order], wanted)
    assert sorted(order[shuffled]) == chosen
    assert len(set(chosen)) == wanted


def test_a_new_style_changes_only_the_contents_that_draw_it() -> None:
    old = style_digests([digest(i) for i in range(20)])
    new = style_digests([digest(i) for i in range(21)])
    changed = 0
    for content in range(300):
        before = sample_styles(0, digest(content), old, 3)
        after = sample_styles(0, digest(content), new, 3)
        assert before == after or (20 in after and len(set(before) & set(after)) == 2)
        changed += before != after
    assert 300 * 3 / 21 * 0.6 < changed < 300 * 3 / 21 * 1.5


@pytest.mark.parametrize("wanted", [1, 4])
def test_every_style_is_used_about_equally(wanted: int) -> None:
    """Chi-square over 10,000 contents and 50 styles; 99.9 % quantile of 49 is 85.4."""
    bank = style_digests([digest(f"style {i}") for i in range(50)])
    used: collections.Counter[int] = collections.Counter()
    for content in range(10_000):
        used.update(sample_styles(7, digest(f"content {content}"), bank, wanted))
    expected = 10_000 * wanted / 50
    chi_square = sum((used[i] - expected) ** 2 / expected for i in range(50))
    assert chi_square < 85.4


def test_seeds_choose_differently() -> None:
    bank = style_digests([digest(i) for i in range(50)])
    choices = {tuple(sample_styles(s, digest("c"), bank, 5)) for s in range(20)}
    assert len(choices) == 20


def test_sample_is_stable() -> None:
    """A contract with every data set that exists: it may not change unnoticed."""
    bank = style_digests([digest(i) for i in range(50)])
    assert sample_styles(1, digest("c"), bank, 4) == STABLE


STABLE = [12, 29, 30, 48]


def test_sample_of_too_few_styles_is_a_bad_pair() -> None:
    with pytest.raises(ImageError, match=r"bad_pair: 3 styles are wanted.*only 2"):
        list(SamplePairing((1.0,), 3, 0).recipes(CONTENT, "cc", styles(2)))


@pytest.mark.parametrize(("corners", "pictures"), [(2, 5), (3, 15), (4, 25)])
def test_corner_weights_are_shares_with_a_style_at_each_corner(
    corners: int, pictures: int
) -> None:
    weights = np.array(corner_weights(corners, 5))
    assert weights.shape == (pictures, corners)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(1), 1)
    for corner in np.eye(corners):
        assert (weights == corner).all(1).sum() == 1


def test_a_corner_is_the_style_itself() -> None:
    pairing = BlendPairing((1.0,), corner_weights(2, 3))
    first, middle, last = pairing.recipes(CONTENT, "cc", styles(2))
    assert first.styles == (styles(2)[0],)
    assert last.places == (1,)
    assert [share.weight for share in middle.styles] == [0.5, 0.5]


def test_originals_are_kept_by_a_hash_that_no_split_uses():
    keys = [f"train/{i}.jpg" for i in range(4000)]
    kept = {key for key in keys if is_kept(key, 0.3)}
    assert 0.27 < len(kept) / len(keys) < 0.33
    assert kept < {key for key in keys if is_kept(key, 0.4)}
    assert not any(is_kept(key, 0.0) for key in keys)
    assert all(is_kept(key, 1.0) for key in keys)
    # The split of `ingest` is a hash of the key: originals are of every split alike.
    validation = [key for key in keys if unit_hash(key) < 0.2]
    share = sum(key in kept for key in validation) / len(validation)
    assert 0.25 < share < 0.35
