"""The ids of settings: what changes them, and what must not."""

import pytest

from transforms.optimize import settings
from transforms.optimize.runs import styles_of
from transforms.optimize.settings import RunSettings, values_in


def id_of(**values):
    return RunSettings.from_values(values).id("5a")


def test_ids_are_those_of_before_there_was_a_choice():
    assert id_of() == "bbb360f5fbda"
    assert id_of(init="noise", steps=20) == "65e86c559fc7"
    ids = {
        id_of(pooling="average"),
        id_of(style_scale=2.0),
        id_of(init="adain"),
        id_of(),
    }
    assert len(ids) == 4


def test_another_packaged_bundle_makes_other_runs_of_its_start(
    level_bundles, monkeypatch
):
    ids = set()
    for kind in ("linear", "vgg"):
        monkeypatch.setattr(settings, "load_bundle", lambda _, k=kind: level_bundles(k))
        settings._start_bundle_id.cache_clear()
        ids.add((id_of(init="adain"), id_of()))
    settings._start_bundle_id.cache_clear()
    (one, plain), (other, again) = ids
    assert one != other
    assert plain == again


def test_rows_of_before_have_what_held_then():
    old = {"steps": 20, "pooling": None, "style_scale": None}
    assert values_in(old) == {"steps": 20, "pooling": "max", "style_scale": 1.0}
    row = {"style_id": "s-1", "style_key": "s", "style_sha256": "0", "styles": None}
    assert styles_of(row) == [
        {"id": "s-1", "key": "s", "sha256": "0", "weight": 1.0, "mask_sha256": None}
    ]


@pytest.mark.parametrize(
    ("values", "slug"),
    [
        ({"pooling": "average", "init": "adain"}, "pooling-average-init-adain"),
        ({"style_scale": 0.5}, "style-scale-0.5"),
    ],
)
def test_slugs_name_the_new_settings(values, slug):
    assert RunSettings.from_values(values).slug() == slug
