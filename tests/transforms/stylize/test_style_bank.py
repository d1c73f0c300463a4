"""The bank: styles by key with their vectors, bound to its settings."""

import dataclasses
import hashlib

import numpy as np
import pytest
from apache_beam import Create, Map
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.storage.files import read_file
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
        check_bank(output.path(BANK_NAME), bank_settings)


@pytest.mark.parametrize(
    "other", [{"encoder_sha256": "e1"}, {"style_size": 64}, {"precision": "bfloat16"}]
)
def test_bank_of_other_settings_is_none(output, bank_settings, encoded, other):
    write(output, bank_settings, encoded)
    path, settings = output.path(BANK_NAME), dataclasses.replace(bank_settings, **other)
    assert load_bank(path, settings) is None
    with pytest.raises(ValueError, match=next(iter(other))):
        check_bank(path, settings)
