"""Crops that grow: what is typed, which step has which, and when graphs are traced."""

import dataclasses

import numpy as np
import pytest

from model.training.crop_schedule import CropSchedule
from model.training.settings import TrainingSettings
from model.training.trainer import Trainer

SCHEDULE = CropSchedule.read("96:4000,128:12000,192")


def test_what_is_typed_comes_back():
    assert str(SCHEDULE) == "96:4000,128:12000,192"
    assert CropSchedule.read(" 96:4000 , 128:12000,192 ") == SCHEDULE
    assert str(CropSchedule.read("64")) == "64"


def test_steps_have_the_crop_of_their_stage():
    steps = (0, 3999, 4000, 11_999, 12_000, 10**9)
    assert [SCHEDULE.crop(s) for s in steps] == [96, 96, 128, 128, 192, 192]
    assert CropSchedule((256,)).crop(7) == 256


def test_stages_go_on_from_any_step():
    assert list(SCHEDULE.stages(0)) == [
        (96, 0, 4000),
        (128, 4000, 12_000),
        (192, 12_000, None),
    ]
    assert list(SCHEDULE.stages(5000)) == [(128, 5000, 12_000), (192, 12_000, None)]
    assert list(SCHEDULE.stages(12_000)) == [(192, 12_000, None)]
    assert list(CropSchedule((256,)).stages(3)) == [(256, 3, None)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "a last crop without a step"),
        ("96:4000", "a last crop without a step"),
        ("96:4000,128:", "a last crop without a step"),
        ("96,128", "a crop and the step"),
        ("96:,128", "a crop and the step"),
        ("96:x,128", "a crop and the step"),
        ("96:1:2,128", "a crop and the step"),
        ("96.5:10,128", "a crop and the step"),
        ("100:4000,128", "each a multiple of 8, at least 16, found 100"),
        ("8:4000,128", "each a multiple of 8, at least 16, found 8"),
        ("128:4000,96", "ascending crops"),
        ("96:4000,96", "ascending crops"),
        ("96:4000,128:4000,192", "ascending steps"),
        ("96:4000,128:30,192", "ascending steps"),
        ("96:0,128", "ascending steps"),
        ("96:-5,128", "ascending steps"),
    ],
)
def test_what_is_no_schedule_is_refused(text, expected):
    with pytest.raises(ValueError, match=expected):
        CropSchedule.read(text)


def test_graphs_are_traced_only_at_boundaries(tiny_bundle, picture):
    settings = TrainingSettings(
        steps=20, batch_size=2, crop_schedule=CropSchedule.read("16:2,32")
    )
    trainer = Trainer(settings, tiny_bundle, tiny_bundle)
    traced = []
    for step in range(4):
        side = settings.crops.crop(step)
        pictures = np.stack([picture(side, side, seed) for seed in (1, 2)])
        trainer.train_step((pictures, pictures))
        traced.append(trainer._run.experimental_get_tracing_count())
    assert traced == [1, 1, 2, 2]


def test_identity_says_the_schedule_as_it_is_typed():
    settings = TrainingSettings(crop_schedule=SCHEDULE)
    assert settings.identity()["crop_schedule"] == "96:4000,128:12000,192"
    assert "crop" not in settings.identity()
    plain = dataclasses.replace(settings, crop_schedule=None).identity()
    assert plain["crop"] == 256
    assert "crop_schedule" not in plain
