"""The training of a decoder: one step, distributed over any number of workers.

The encoder is fixed; the decoder learns to turn AdaIN's features into pictures whose
features are those again (Huang & Belongie 2017, https://arxiv.org/abs/1703.06868).
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import keras
import tensorflow as tf

from model.adain.adain import adain, channel_moments
from model.adain.losses import (
    content_loss,
    style_losses,
    style_taps,
    total_variation_loss,
)
from model.config import ConvSpec
from model.networks.decoder import build_decoder
from model.networks.encoder import build_encoder
from model.networks.keras_network import Arrays, check_arrays, get_weights, set_weights
from model.training.settings import TrainingSettings

# The cosine schedule ends at this share of the learning rate.
COSINE_FLOOR: Final = 0.02


def learning_rate(settings: TrainingSettings, step: int) -> float:
    """Return the learning rate of a step, the first being 0.

    The schedule times min(1, (step + 1) / warm-up). `inverse-time` is
    lr / (1 + decay · step), as in the authors' code; `cosine` falls from lr to 2 % of
    it over all steps. Computed here, not by Keras, so that it is logged as it is used.
    """
    rate = settings.learning_rate
    if settings.lr_schedule == "inverse-time":
        rate /= 1.0 + settings.lr_decay * step
    else:
        share = min(step / settings.steps, 1.0)
        fall = 0.5 * (1.0 + math.cos(math.pi * share))
        rate *= COSINE_FLOOR + (1.0 - COSINE_FLOOR) * fall
    if settings.warmup_steps:
        rate *= min(1.0, (step + 1) / settings.warmup_steps)
    return rate


@dataclasses.dataclass(frozen=True)
class StepResult:
    """What one step came to, over all workers.

    Attributes:
        losses: `content`, `style`, `tv`, `total` and, of each tap, `style/<layer>`.
        gradient_norm: Global norm of the gradient before clipping.
        stop: Whether a worker was asked to stop; all see it at the same step.
    """

    losses: Mapping[str, float]
    gradient_norm: float
    stop: bool

    @property
    def finite(self) -> bool:
        """Whether the weights are still numbers after this step."""
        return math.isfinite(self.gradient_norm) and all(
            math.isfinite(loss) for loss in self.losses.values()
        )


class Trainer:
    """A decoder in training and all that a checkpoint holds of it.

    `step` counts the updates; `best` is the lowest held-out total so far, kept for
    whoever evaluates.

    Args:
        settings: What decides the outcome.
        encoder_layers: The encoder's convolutions.
        encoder: Its weights.
        decoder_layers: The decoder's convolutions.
        decoder: The weights to start from.
        strategy: Over which devices and workers.
        workers: How many processes there are.

    Raises:
        ValueError: Arrays do not fit their layers, or the batch does not divide.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        encoder_layers: Sequence[ConvSpec],
        encoder: Arrays,
        decoder_layers: Sequence[ConvSpec],
        decoder: Arrays,
        strategy: tf.distribute.Strategy | None = None,
        workers: int = 1,
    ) -> None:
        self.settings = settings
        self.workers = workers
        self.strategy = strategy or tf.distribute.get_strategy()
        self.replicas = int(self.strategy.num_replicas_in_sync)
        if settings.batch_size % self.replicas:
            raise ValueError(
                f"The batch of {settings.batch_size} must be a multiple of the "
                f"{self.replicas} replicas that share it."
            )
        check_arrays(decoder_layers, decoder, origin="the decoder to start from")
        self.taps = style_taps(encoder_layers)
        # Everything with variables under the scope, or updates fail obscurely.
        with self.strategy.scope():
            self._encoder = build_encoder(
                encoder_layers, encoder, taps=self.taps, precision=settings.precision
            )
            self.decoder = build_decoder(
                decoder_layers,
                # bfloat16 has 8 bits of mantissa: updates of 1e-4 would be lost, so
                # the weights are float32 and only the convolutions bfloat16.
                precision=(
                    "mixed_bfloat16"
                    if settings.precision == "bfloat16"
                    else settings.precision
                ),
            )
            set_weights(self.decoder, decoder)
            optimizers = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}
            self.optimizer = optimizers[settings.optimizer](settings.learning_rate)
            # Before strategy.run, which cannot create variables.
            self.optimizer.build(self.decoder.trainable_variables)
            self.step = tf.Variable(0, dtype=tf.int64, name="step", trainable=False)
            self.best = tf.Variable(
                math.inf, dtype=tf.float64, name="best", trainable=False
            )
        # Not compiled by XLA: on CPUs it loses oneDNN's convolutions.
        self._run = tf.function(self._run_replicas, jit_compile=False)

    def train_step(self, batch: Any, *, stop: bool = False) -> StepResult:
        """Update the decoder once.

        Args:
            batch: Contents and styles, float32 RGB `[batch, crop, crop, 3]` in [0, 1]
                each; per replica where there are several.
            stop: Whether this worker wants to stop after this step.
        """
        rate = learning_rate(self.settings, int(self.step.numpy()))
        self.optimizer.learning_rate.assign(rate)
        sums = self._run(batch, tf.constant(float(stop)))
        self.step.assign_add(1)
        values = {name: float(value.numpy()) for name, value in sums.items()}
        stopped = values.pop("stop") > 0
        norm = values.pop("gradient_norm")
        return StepResult(values, norm, stopped)

    def meet(self) -> None:
        """Wait until all workers are here."""
        if self.workers > 1:
            tf.function(self._count_replicas)().numpy()

    def _count_replicas(self) -> tf.Tensor:
        ones = self.strategy.run(lambda: tf.ones(()))
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, ones, axis=None)

    def losses(self, content: tf.Tensor, style: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the losses of a batch, float32 scalars.

        Only the way from the decoder's weights to the losses is differentiable: the
        target and the style's statistics are constants.

        Args:
            content: float32 RGB `[batch, height, width, 3]` in [0, 1].
            style: Of the same shape.
        """
        target, moments = self._encode(content, style)
        return self._losses_against(target, moments)

    def weights(self) -> dict[str, Any]:
        """Return the decoder's weights, float32, by `<layer>/kernel` and `/bias`."""
        return get_weights(self.decoder)

    def _encode(
        self, content: tf.Tensor, style: tf.Tensor
    ) -> tuple[tf.Tensor, list[tuple[tf.Tensor, tf.Tensor]]]:
        """Return AdaIN's target and the style's statistics at every tap."""
        count = tf.shape(content)[0]
        # In one batch: larger matrix products, one pass over the weights.
        features = self._encoder(tf.concat([content, style], axis=0), training=False)
        features = tf.nest.flatten(features)
        moments = [channel_moments(tap[count:]) for tap in features]
        return tf.stop_gradient(adain(features[-1][:count], *moments[-1])), moments

    def _losses_against(
        self, target: tf.Tensor, moments: Sequence[tuple[tf.Tensor, tf.Tensor]]
    ) -> dict[str, tf.Tensor]:
        settings = self.settings
        output = self.decoder(target, training=True)
        features = tf.nest.flatten(self._encoder(output, training=False))
        content = content_loss(features[-1], target)
        layers = style_losses([channel_moments(tap) for tap in features], moments)
        style = tf.add_n(layers)
        total = settings.content_weight * content + settings.style_weight * style
        variation = total_variation_loss(output)
        if settings.tv_weight:
            total += settings.tv_weight * variation
        by_layer = {
            f"style/{tap}": loss for tap, loss in zip(self.taps, layers, strict=True)
        }
        return {
            "content": content,
            "style": style,
            "tv": variation,
            "total": total,
            **by_layer,
        }

    def _run_replicas(self, batch: Any, stop: tf.Tensor) -> dict[str, tf.Tensor]:
        content, style = batch
        sums = self.strategy.run(self._replica_step, args=(content, style, stop))
        # Summed over all replicas already, so each has the same.
        return {
            name: self.strategy.experimental_local_results(value)[0]
            for name, value in sums.items()
        }

    def _replica_step(
        self, content: tf.Tensor, style: tf.Tensor, stop: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        target, moments = self._encode(content, style)
        variables = [v.value for v in self.decoder.trainable_variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            losses = self._losses_against(target, moments)
            # Gradients are summed over replicas: without the division the step would
            # grow with their number.
            scaled = losses["total"] / self.replicas
        gradients = tape.gradient(scaled, variables)
        sums = {name: loss / self.replicas for name, loss in losses.items()}
        sums["stop"] = stop
        if self.replicas > 1:
            # Clipping and the logged norm are of the whole gradient, not of a part.
            context = tf.distribute.get_replica_context()
            add = tf.distribute.ReduceOp.SUM
            gradients = context.all_reduce(add, gradients)
            names = sorted(sums)
            values = context.all_reduce(add, tf.stack([sums[n] for n in names]))
            sums = dict(zip(names, tf.unstack(values), strict=True))
        norm = tf.linalg.global_norm(gradients)
        if self.settings.clip_norm:
            gradients, _ = tf.clip_by_global_norm(
                gradients, self.settings.clip_norm, use_norm=norm
            )
        # apply_gradients sums over replicas, where now all have the same.
        self.optimizer.apply_gradients(
            (gradient / self.replicas, variable)
            for gradient, variable in zip(
                gradients, self.decoder.trainable_variables, strict=True
            )
        )
        return {**sums, "gradient_norm": norm}


def batches_of(
    trainer: Trainer, make: Callable[[int], tf.data.Dataset]
) -> Iterator[Any]:
    """Iterate over the batches of this worker, each split over its devices.

    Args:
        trainer: What they are for.
        make: Returns the data set of this worker for so many devices; an element is
            the batch of one of them.
    """
    devices = trainer.replicas // trainer.workers
    if trainer.replicas == 1:
        return iter(make(1))
    return iter(
        trainer.strategy.distribute_datasets_from_function(lambda _: make(devices))
    )
