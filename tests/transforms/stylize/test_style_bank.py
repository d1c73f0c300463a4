"""The bank: styles by key with their vectors, bound to its settings."""

import dataclasses
import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam import Create, Map
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.storage.files import read_file
from transforms.stylize import style_bank
from transforms.stylize.style_bank import (
    BANK_NAME,
    WriteStyleBank,
    check_bank,
    existing_bank,
    load_bank,
)


def told(bank):
    digest = hashlib.sha256(read_file(bank.path)).hexdigest()
    return bank.path, bank.sha256 == digest


def write(output, settings, styles):
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        bank = pipeline | Create(styles) | WriteStyleBank(output, settings)
        assert_that(bank | Map(told), equal_to([(output.path(BANK_NAME), True)]))


def test_styles_are_sorted_by_key_in_whatever_order_they_come(
    output, bank_settings, encoded
):
    write(output, bank_settings, encoded[::-1])
    found = load_bank(output.path(BANK_NAME), bank_settings)
    assert found.styles == tuple(style.share for style in encoded)
    np.testing.assert_array_equal(found.mean, [style.mean for style in encoded])
    np.testing.assert_array_equal(found.std, [style.std for style in encoded])
    assert existing_bank(output).path == output.path(BANK_NAME)


def test_no_style_is_a_bank_without_one(output, bank_settings):
    write(output, bank_settings, [])
    assert load_bank(output.path(BANK_NAME), bank_settings).styles == ()
    with pytest.raises(ValueError, match="there is no style in it"):
        check_bank(output.path(BANK_NAME), bank_settings, 2)


@pytest.mark.parametrize(
    "other", [{"encoder_sha256": "e1"}, {"style_size": 64}, {"precision": "bfloat16"}]
)
def test_bank_of_other_settings_is_none(output, bank_settings, encoded, other):
    write(output, bank_settings, encoded)
    path, settings = output.path(BANK_NAME), dataclasses.replace(bank_settings, **other)
    assert load_bank(path, settings) is None
    with pytest.raises(ValueError, match=next(iter(other))):
        check_bank(path, settings, 2)


@pytest.mark.parametrize(
    ("mean", "said"),
    [
        ([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], "mean of its 2 styles has 6 values"),
        ([[1.0], [2.0]], "mean of its 2 styles has 2 values, this bundle needs 2 each"),
        ([[1.0], [1.0, 2.0, 3.0]], "several lengths"),
        ([[1.0, None], [1.0, 2.0]], "lack values"),
        ([[1.0, np.nan], [1.0, 2.0]], "mean has a value that is no finite number"),
        ([None, [1.0, 2.0]], "values"),
    ],
)
def test_vectors_of_a_given_bank_are_checked(
    tmp_path, output, bank_settings, encoded, mean, said
):
    write(output, bank_settings, encoded)
    table = pq.read_table(output.path(BANK_NAME))
    place = table.schema.get_field_index("mean")
    column = pa.array(mean, table.schema.field(place).type)
    path = str(tmp_path / "bank.parquet")
    pq.write_table(table.set_column(place, table.schema.field(place), column), path)
    with pytest.raises(ValueError, match=said):
        check_bank(path, bank_settings, 2)


def test_a_table_of_something_else_is_no_bank(tmp_path, bank_settings):
    path = str(tmp_path / "bank.parquet")
    pq.write_table(pa.table({"id": ["a"], "mean": ["text"]}), path)
    with pytest.raises(ValueError, match="not a style bank: expected a column"):
        check_bank(path, bank_settings, 2)


def test_a_bank_of_too_many_styles_is_not_loaded(
    output, bank_settings, encoded, monkeypatch
):
    write(output, bank_settings, encoded)
    monkeypatch.setattr(style_bank, "_MAX_BYTES", 16)
    with pytest.raises(ValueError, match="its 2 styles take more than 16 bytes"):
        check_bank(output.path(BANK_NAME), bank_settings, 2)
