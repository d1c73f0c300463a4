"""Every kind of picture says what one is looking at."""

from transforms.visualize.settings import Excited, Kind
from transforms.visualize.wording import ABOUT, about_of


def test_every_picture_is_told_in_plain_words_with_its_paper():
    names = {str(kind) for kind in Kind if kind is not Kind.ACTIVATION}
    names |= {f"{Kind.ACTIVATION}-{excited}" for excited in Excited}
    assert names <= set(ABOUT)
    for about in ABOUT.values():
        assert about.text.endswith(".")
        assert len(about.text.split()) < 50
        assert about.paper[-4:].isdecimal()
        assert about.url.startswith("https://")


def test_a_page_is_told_of_its_own_kinds_alone():
    found = about_of((Kind.FEATURES, Kind.ACTIVATION))
    assert set(found) == {
        "features",
        *(f"activation-{excited}" for excited in Excited),
    }
    assert set(found["features"]) == {"text", "paper", "url"}
