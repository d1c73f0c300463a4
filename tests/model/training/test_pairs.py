import numpy as np
import tensorflow as tf

from model.training.pairs import identity_draws


def test_identity_draws_are_functions_of_the_place():
    places = tf.range(400, dtype=tf.int64)
    chosen, tints = identity_draws(places, seed=3, identity_share=0.25)
    later, later_tints = identity_draws(places[100:108], 3, 0.25)
    np.testing.assert_array_equal(chosen[100:108], later)
    np.testing.assert_array_equal(tints[100:108], later_tints)
    assert 0.18 < np.mean(chosen) < 0.32
    tinted = np.any(tints.numpy() != 1, axis=1)
    assert not np.any(tinted & ~chosen.numpy())
    assert 0.3 < tinted.sum() / np.sum(chosen) < 0.7
    assert np.all((tints.numpy() >= 0) & (tints.numpy() <= 1))


def test_other_seeds_draw_others():
    places = tf.range(400, dtype=tf.int64)
    one, two = (identity_draws(places, seed, 0.5)[0].numpy() for seed in (0, 1))
    assert 100 < np.sum(one != two) < 300
