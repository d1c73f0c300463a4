"""What the scripts of a page read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.pages.page_data import data_script, field_table, script_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON)
def test_script_json_is_json_without_anything_that_ends_a_script(value):
    text = script_json(value)
    assert json.loads(text) == value
    assert not set("<>&\u2028\u2029") & set(text)


def test_the_order_of_fields_does_not_matter():
    assert script_json({"b": 1, "a": 2}) == script_json({"a": 2, "b": 1})


def test_a_data_script_is_one_call():
    script = data_script("00000-<1>", {"key": "</script>"})
    assert script == (
        b'stylebeam.page("00000-\\u003c1\\u003e",{"key":"\\u003c/script\\u003e"});\n'
    )


def test_fields_are_named_once_in_the_order_of_the_rows():
    table = field_table([{"b": 1, "a": "x"}, {"b": 0, "a": ""}])
    assert table == {"fields": ["b", "a"], "rows": [[1, "x"], [0, ""]]}


def test_a_field_that_no_row_has_is_left_out():
    rows = [{"a": 1, "b": None, "c": None}, {"a": None, "b": None, "c": 0}]
    assert field_table(rows) == {"fields": ["a", "c"], "rows": [[1, None], [None, 0]]}


def test_no_rows_have_no_fields():
    assert field_table([]) == {"fields": [], "rows": []}


def test_a_row_without_a_field_of_the_others_is_an_error():
    with pytest.raises(KeyError):
        field_table([{"a": 1}, {"b": 1}])
