"""The identity of a comparison, as job.json keeps it."""

import json

from transforms.visualize.comparison.settings import (
    ComparisonSettings,
    is_comparison,
)


def test_settings_come_back_from_json(triples, networks):
    for settings in (triples, networks):
        value = json.loads(json.dumps(settings.to_json()))
        assert ComparisonSettings.from_json(value) == settings
        assert is_comparison(value)
    assert not is_comparison({"network": "vgg16"})
    assert triples.cell_id("a") != triples.cell_id("b") != networks.cell_id("b")


def test_a_network_looks_at_the_layers_that_it_has(networks):
    assert networks.layers_of(0) == networks.layers
    assert networks.layers_of(1) == networks.layers[:1]
