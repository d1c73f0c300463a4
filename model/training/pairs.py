"""Training pairs: contents and styles of one step, any step without those before it."""

from typing import Final

import tensorflow as tf

from model.training.dataset import PictureIndex, crop_dataset

# Purposes of random numbers that must not repeat each other: as `stream` of `draw`.
_CONTENT, _STYLE, _IDENTITY = range(3)

# Half of the identity pairs keep their colours, so that photographs stay photographs.
_TINTED_SHARE: Final = 0.5


def training_pairs(
    content: PictureIndex,
    style: PictureIndex,
    *,
    crop: int,
    batch_size: int,
    seed: int,
    identity_share: float = 0.0,
    start_step: int = 0,
    first: int = 0,
    count: int | None = None,
    enlarge: bool = True,
) -> tf.data.Dataset:
    """Return the pairs of one worker, endlessly, from a step on.

    Contents and styles are shuffled apart, so the pairs change every epoch.

    A share of the pairs is an identity: the content is its own style. Half of these are
    tinted: each colour is multiplied by a number in [0, 1] (a quarter of these are
    0, a quarter 1), so that pure colours occur. Other pairs ask for the statistics of
    paintings only. Alpha below 1 blends towards those of the photograph, which are then
    left to chance.

    Args:
        content: Pictures to draw contents from.
        style: Pictures to draw styles from.
        crop: Side of the crops in pixels.
        batch_size: Pairs a step, over all workers.
        seed: Seed of the training.
        identity_share: Share of identities among the pairs, in [0, 1]; 0 is the
            paper's training.
        start_step: The step whose batch comes first.
        first: Place in the batch where this worker's share begins.
        count: Size of its share; the rest of the batch when None.
        enlarge: Whether windows may be smaller than the crop where the picture is not.

    Returns:
        Dataset of pairs of float32 `[count, crop, crop, 3]`, RGB in [0, 1].
    """
    share = batch_size - first if count is None else count
    crops = [
        crop_dataset(
            index,
            crop=crop,
            batch_size=batch_size,
            seed=seed,
            stream=stream,
            start_step=start_step,
            first=first,
            count=share,
            enlarge=enlarge,
        )
        for stream, index in ((_CONTENT, content), (_STYLE, style))
    ]
    if not identity_share:
        return tf.data.Dataset.zip(tuple(crops))

    def mix(
        step: tf.Tensor, contents: tf.Tensor, styles: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        places = step * batch_size + first + tf.range(share, dtype=tf.int64)
        chosen, tints = identity_draws(places, seed, identity_share)
        contents = contents * tints[:, None, None, :]
        return contents, tf.where(chosen[:, None, None, None], contents, styles)

    steps = tf.data.Dataset.counter(start_step)
    pairs = tf.data.Dataset.zip((steps, *crops))
    return pairs.map(mix).prefetch(1)


def identity_draws(
    places: tf.Tensor, seed: int, identity_share: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draw which pairs are identities, and their tints.

    Args:
        places: int64 `[pairs]`, number of each pair since step 0.
        seed: Seed of the training.
        identity_share: Share of identities among the pairs, in [0, 1].

    Returns:
        bool `[pairs]`, and float32 `[pairs, 3]` in [0, 1], 1 for all that stay as they
        are.
    """
    purpose = tf.constant(seed * 2**16 + _IDENTITY, tf.int64)
    draws = tf.map_fn(
        lambda place: tf.random.stateless_uniform(
            [5], tf.stack([purpose, place]), alg="philox"
        ),
        places,
        fn_output_signature=tf.float32,
    )
    chosen = draws[:, 0] < identity_share
    tinted = chosen & (draws[:, 1] < _TINTED_SHARE)
    tints = tf.clip_by_value(2.0 * draws[:, 2:] - 0.5, 0.0, 1.0)
    return chosen, tf.where(tinted[:, None], tints, tf.ones_like(tints))
