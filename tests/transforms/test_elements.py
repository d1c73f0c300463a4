"""Ids of images: readable, unique, and unable to leave the output folder."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.elements import ImageError, ImageRef, Reason, image_id


def test_names_that_peers_confuse_stay_apart():
    keys = ["a.jpg", "a.png", "d/a.jpg", "d-a.jpg", "A.jpg", "a.jpeg", "ä.jpg"]
    assert len({image_id(key) for key in keys}) == len(keys)


@given(st.text(min_size=1))
def test_id_is_a_short_safe_file_name(key):
    name = image_id(key)
    assert set(name) <= set(string.ascii_lowercase + string.digits + "-")
    assert 12 <= len(name) <= 93
    assert not name.startswith("-")


@pytest.mark.parametrize("key", ["../../etc/passwd", "/abs", "..", "名前", "🎨/"])
def test_no_key_leaves_the_folder(key):
    assert "/" not in image_id(key)
    assert "." not in image_id(key)


def test_undecodable_names_have_ids():
    assert image_id("caf\udce9.jpg") != image_id("caf\udcea.jpg")


def test_failure_carries_the_reference():
    ref = ImageRef("d/a.jpg", "photos", "/somewhere/photos/d/a.jpg")
    failure = ref.failure("DecodeContent", ImageError(Reason.CORRUPT, "why"))
    assert failure.key == "d/a.jpg"
    assert failure.source == "photos"
    assert failure.stage == "DecodeContent"
    assert failure.reason == "corrupt"
    assert "somewhere" not in str(failure)
