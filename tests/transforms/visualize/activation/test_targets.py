"""What feature visualizations excite: names, seeds, and batches of one size."""

import dataclasses

import pytest

from transforms.visualize.activation.targets import (
    FRAMES,
    Target,
    batches_of,
    targets_of,
)
from transforms.visualize.settings import ActivationSettings, Excited

ALL = ActivationSettings(
    excite=(Excited.CHANNEL, Excited.NEURON, Excited.LAYER), between=((3, 7), (7, 9))
)


def test_a_layer_has_a_target_for_all_that_is_asked():
    names = [target.name for target in targets_of("block1_conv1", [3, 7], ALL)]
    assert names == [
        "channel-3",
        "channel-7",
        "neuron-3",
        "neuron-7",
        "layer",
        "between-3-7",
        "between-7-9",
    ]
    assert not list(targets_of("block1_conv1", [], ActivationSettings()))


def test_sheets_and_rows_are_named_by_layer_and_target(settings):
    target = Target("block1_conv1", Excited.BETWEEN, (3, 7))
    name = "activation-block1_conv1-between-3-7"
    assert target.path == f"sheets/collection/{name}.png"
    owner = target.owner(settings)
    assert owner.id == f"collection-{name}"
    other = Target("block1_conv1", Excited.BETWEEN, (7, 3)).owner(settings)
    assert owner.cell_id != other.cell_id


def test_pictures_have_seeds_of_their_own_but_for_a_way():
    settings = dataclasses.replace(ALL, diversity=3)
    target = Target("a", Excited.CHANNEL, (3,))
    seeds = {target.seed(settings, i) for i in range(3)}
    seeds |= {Target("b", Excited.CHANNEL, (3,)).seed(settings, 0)}
    seeds |= {target.seed(dataclasses.replace(settings, seed=1), 0)}
    assert len(seeds) == 5
    way = Target("a", Excited.BETWEEN, (3, 7))
    assert len({way.seed(settings, i) for i in range(FRAMES)}) == 1
    assert (target.pictures(settings), way.pictures(settings)) == (3, FRAMES)


@pytest.mark.parametrize(
    ("diversity", "batches", "pictures"),
    [(1, [4, 1], 4), (2, [2, 2, 1], 4), (3, [1] * 5, 3), (8, [1] * 5, 8)],
)
def test_every_batch_of_a_kind_is_filled_up_to_one_size(diversity, batches, pictures):
    settings = ActivationSettings(diversity=diversity)
    targets = list(targets_of("a", range(5), settings))
    found = list(batches_of(targets, settings))
    assert [len(batch) for batch in found] == batches
    assert {batch.pictures for batch in found} == {pictures}
    assert [t for batch in found for t in batch.targets] == targets


def test_a_batch_is_of_one_kind():
    found = list(batches_of(list(targets_of("a", [3, 7], ALL)), ALL))
    assert [(b.targets[0].excited, len(b), b.pictures) for b in found] == [
        (Excited.CHANNEL, 2, 4),
        (Excited.NEURON, 2, 4),
        (Excited.LAYER, 1, 1),
        (Excited.BETWEEN, 1, FRAMES),
        (Excited.BETWEEN, 1, FRAMES),
    ]
    assert found[0].num_bytes == 4 * ALL.size**2 * 3
