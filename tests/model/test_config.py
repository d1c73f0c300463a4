import json

import pytest

from model.config import ConvSpec, canonical_json

LAYER = ConvSpec("block2_conv1", 64, 128, pool_before=True)


def test_layer_round_trips_through_json() -> None:
    for layer in (
        LAYER,
        ConvSpec("out", 64, 3, 5, "linear", upsample_before=True, padding="zero"),
    ):
        assert ConvSpec.from_json(json.loads(canonical_json(layer.to_json()))) == layer


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"in": 0}, "needs channels"),
        ({"out": -1}, "needs channels"),
        ({"kernel": 2}, "`kernel` must be odd"),
        ({"kernel": 0}, "`kernel` must be odd"),
        ({"kernel": "3"}, "'kernel' must be int"),
        ({"kernel": 3.0}, "'kernel' must be int"),
        ({"kernel": True}, "'kernel' must be int"),
        ({"pool_before": 1}, "'pool_before' must be bool"),
        ({"name": None}, "'name' must be str"),
        ({"activation": "tanh"}, "`activation` must be relu or linear"),
        ({"padding": "wrap"}, "`padding` must be reflect or zero"),
        ({"upsample_before": True}, "cannot both pool and upsample"),
        ({"dilation": 2}, r"Unknown layer properties \['dilation'\]"),
    ],
)
def test_layer_with_a_wrong_property_is_refused(
    change: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ConvSpec.from_json(LAYER.to_json() | change)


@pytest.mark.parametrize("name", list(LAYER.to_json()))
def test_layer_without_a_property_is_refused(name: str) -> None:
    value = LAYER.to_json()
    del value[name]
    with pytest.raises(ValueError, match=f"A layer lacks \\['{name}'\\]"):
        ConvSpec.from_json(value)


@pytest.mark.parametrize("value", [None, 3, "relu", ["relu"]])
def test_layer_that_is_no_object_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="must be an object"):
        ConvSpec.from_json(value)  # type: ignore[arg-type]


def test_canonical_json_of_equal_values_is_equal() -> None:
    assert canonical_json({"b": 1, "a": "é"}) == canonical_json({"a": "é", "b": 1})
    assert canonical_json({"b": (1, 2), "a": "é"}) == (
        '{\n  "a": "é",\n  "b": [\n    1,\n    2\n  ]\n}\n'.encode()
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": "\xe9", "a": 1}, '{\n  "a": 1,\n  "b": "\xe9"\n}\n'),
        (["caf\udce9/x"], '[\n  "caf\\\\xe9/x"\n]\n'),
        ({"half \ud800": "\\"}, '{\n  "half \\\\ud800": "\\\\"\n}\n'),
    ],
)
def test_json_is_utf8_whatever_the_names(value, text):
    data = canonical_json(value)
    assert data.decode("utf-8") == text
    json.loads(data)
