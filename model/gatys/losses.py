"""The losses of an optimised picture, with the paper's constants.

Gatys, Ecker & Bethge 2016, section 2, https://doi.org/10.1109/CVPR.2016.265. The public
codes reduce differently, so their weights are not ours: TensorFlow's tutorial takes
means of squares for the content and for the Gram matrices, which is 2 / (N M) of our
content loss and 4 times our style loss. `model.adain.losses` holds those that train a
decoder.
"""

from typing import Any, Final

import tensorflow as tf

from model.gatys.settings import Variation

# Inside the root of the isotropic total variation, in squared units of the picture:
# the root has no slope at 0. On grey levels of 255 it moves a pixel's share by less
# than a thousandth of a level.
TV_EPSILON: Final = 1e-6


@tf.custom_gradient
def gram_matrix(features: tf.Tensor) -> Any:
    """Return the Gram matrix of features: G_ij = Σ_k F_ik F_jk.

    This is eq. 3, with k over the M places, in float32. Its gradient is F (dG + dGᵀ),
    one product where a tape would make two.

    Args:
        features: F of one image, `[1, height, width, channels]`, any float dtype.

    Returns:
        float32 `[channels, channels]`, symmetric, not divided by anything.
    """
    shape, dtype = tf.shape(features), features.dtype
    flat = tf.cast(tf.reshape(features, (-1, features.shape[-1])), tf.float32)

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        moved = tf.matmul(flat, upstream + tf.transpose(upstream))
        return tf.cast(tf.reshape(moved, shape), dtype)

    return tf.matmul(flat, flat, transpose_a=True), gradient


@tf.custom_gradient
def guided_gram(features: tf.Tensor, guide: tf.Tensor) -> Any:
    """Return the Gram matrix of marked places: G_ij = Σ_k m_k F_ik F_jk.

    Gatys et al. 2017, section 4, https://arxiv.org/abs/1611.07865, with m_k = (T_k)².
    With m = 1 everywhere it is `gram_matrix`. Where m is 0 the gradient is exactly 0.

    Args:
        features: F of one image, `[1, height, width, channels]`, any float dtype.
        guide: m, float32 `[height, width]`, not negative.

    Returns:
        float32 `[channels, channels]`, symmetric, not divided by Σ m.
    """
    shape, dtype = tf.shape(features), features.dtype
    flat = tf.cast(tf.reshape(features, (-1, features.shape[-1])), tf.float32)
    marks = tf.reshape(guide, (-1, 1))

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
        moved = marks * tf.matmul(flat, upstream + tf.transpose(upstream))
        return tf.cast(tf.reshape(moved, shape), dtype), None

    return tf.matmul(flat, marks * flat, transpose_a=True), gradient


def places(features: tf.Tensor) -> tf.Tensor:
    """Return M, the places of one image's features, as a float32 scalar."""
    return tf.cast(tf.shape(features)[1] * tf.shape(features)[2], tf.float32)


def content_loss(features: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Return how far features are from the content's: ½ Σ (F − P)².

    This is eq. 1. It is a sum and grows with the picture; the style loss does not.

    Args:
        features: F, `[1, height, width, channels]`, any float dtype.
        target: P, of the same shape.

    Returns:
        float32 scalar.
    """
    apart = tf.cast(features, tf.float32) - tf.cast(target, tf.float32)
    return 0.5 * tf.reduce_sum(tf.square(apart))


def style_loss(
    gram: tf.Tensor, places: Any, style_gram: tf.Tensor, style_places: Any
) -> tf.Tensor:
    """Return how far a layer's Gram matrix is from the style's.

    E = 1 / (4 N²) Σ_ij (G_ij / M − A_ij / M')², N channels, M and M' places. For images
    of equal size this is eq. 4, 1 / (4 N² M²) Σ (G − A)². The paper knows no other
    sizes; a Gram matrix is a sum over places, so that one of a style twice as large is
    four times as large, and only the means over places can be compared.

    Args:
        gram: G of the picture, float32 `[channels, channels]`.
        places: M, how many places it sums up.
        style_gram: A of the style, float32 `[channels, channels]`.
        style_places: M', how many places A sums up.

    Returns:
        float32 scalar, not yet weighted by w_l.
    """
    apart = gram / places - style_gram / style_places
    # The mean over the matrix is the sum / N².
    return 0.25 * tf.reduce_mean(tf.square(apart))


def guided_style_loss(
    gram: tf.Tensor, marked: tf.Tensor, style_gram: tf.Tensor, places: tf.Tensor
) -> tf.Tensor:
    """Return how far a region's Gram matrix is from its style's: λ_r E_r.

    E_r is `style_loss` of the region alone. Gatys et al. 2017 leave λ_r open;
    here it is the region's share M_r / M of all places. So a style pulls at a place as
    hard as it would without a guide, however small the region is.

    Args:
        gram: G_r of the picture, float32 `[channels, channels]`, from `guided_gram`.
        marked: M_r = Σ m, float32 scalar; 0 where the region has no place.
        style_gram: A / M' of the style, float32 `[channels, channels]`.
        places: M, how many places there are in all.

    Returns:
        float32 scalar, not yet weighted by w_l.
    """
    # Whatever is not 0: the share of an empty region is 0.
    safe = tf.maximum(marked, 1e-6)
    return marked / places * style_loss(gram, safe, style_gram, 1.0)


def total_variation(picture: tf.Tensor, form: Variation) -> tf.Tensor:
    """Return the total variation of a picture, a sum over places and colours.

    anisotropic  Σ |Δx| + |Δy|
    isotropic    Σ (√(Δx² + Δy² + ε) − √ε), ε = `TV_EPSILON`; Rudin, Osher & Fatemi
                 1992, https://doi.org/10.1016/0167-2789(92)90242-F

    Δx and Δy are the differences to the next pixel to the right and below, 0 beyond the
    border. Where a picture is flat both have the gradient 0.

    Args:
        picture: float32 `[1, height, width, colours]`, in whatever unit; ours is the
            grey level of 255.
        form: Which of the two.

    Returns:
        float32 scalar, in the unit of the picture.
    """
    if form == "anisotropic":
        across = picture[:, :, 1:] - picture[:, :, :-1]
        down = picture[:, 1:] - picture[:, :-1]
        return tf.reduce_sum(tf.abs(across)) + tf.reduce_sum(tf.abs(down))
    return tf.reduce_sum(variation_map(picture, form))


def variation_map(picture: tf.Tensor, form: Variation) -> tf.Tensor:
    """Return what each pixel adds to the total variation, in the picture's shape."""
    across = picture[:, :, 1:] - picture[:, :, :-1]
    down = picture[:, 1:] - picture[:, :-1]
    across = tf.pad(across, [[0, 0], [0, 0], [0, 1], [0, 0]])
    down = tf.pad(down, [[0, 0], [0, 1], [0, 0], [0, 0]])
    if form == "anisotropic":
        return tf.abs(across) + tf.abs(down)
    squares = tf.square(across) + tf.square(down)
    return tf.sqrt(squares + TV_EPSILON) - TV_EPSILON**0.5
