"""The training of a decoder: one step, distributed over any number of workers.

The decoder learns to turn AdaIN's features into pictures whose features are those again
(Huang & Belongie 2017, https://arxiv.org/abs/1703.06868). The losses look through a
fixed encoder: the network's own, or, where that one has projections or learns too, that
of a judge. A narrow encoder first learns to imitate that of the judge.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from model.adain.adain import adain, channel_moments
from model.adain.losses import (
    content_loss,
    style_losses,
    style_taps,
    total_variation_loss,
)
from model.bundle import Bundle
from model.config import Policy
from model.networks.encoder import build_encoder
from model.networks.keras_network import get_weights, set_weights
from model.networks.level_network import build_level_decoder, build_level_encoder
from model.tensorflow_keras import keras
from model.training.averages import Averages
from model.training.imitation import check_imitation, imitation_losses, power
from model.training.learning_rate import learning_rate
from model.training.settings import TrainingSettings

Moments = tuple[tf.Tensor, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class StepResult:
    """What one step came to, over all workers.

    Attributes:
        losses: `content`, `style`, `tv`, `total` and, of each tap, `style/<layer>`;
            while the encoder imitates, `imitation`, `total` and `imitation/<layer>`.
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
    whoever evaluates. `encoder` learns with the decoder, or is None. `averages` holds
    the weights averaged over the steps, or is None.

    Args:
        settings: What decides the outcome.
        start: The networks to start from.
        judge: Whose encoder the losses look through, where the start's does not itself.
        strategy: Over which devices and workers.
        workers: How many processes there are.

    Raises:
        ValueError: The batch does not divide, or the encoder cannot imitate.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        start: Bundle,
        judge: Bundle,
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
        network = start.architecture
        plain = all(tap.projection is None for tap in network.taps)
        # Whether AdaIN acts on what the losses look at anyway.
        self._one_look = (
            plain and network.input_divisor == 1 and not settings.encoder_learns
        )
        looking = start if self._one_look else judge
        self.taps = style_taps(looking.encoder_layers)
        aligned = [tap.layer for tap in network.taps] if self._one_look else []
        imitated = [tap.layer for tap in network.taps] if settings.distill_steps else []
        others = [tap for tap in (*aligned, *imitated) if tap not in self.taps]
        looked_at = [*self.taps, *others]
        self._aligned = [looked_at.index(tap) for tap in aligned]
        self._imitated = {tap: looked_at.index(tap) for tap in imitated}
        if imitated:
            check_imitation(network, looking)
        # bfloat16 has 8 bits of mantissa: updates of 1e-4 would be lost, so the weights
        # are float32 and only the convolutions bfloat16.
        policy: Policy = (
            "mixed_bfloat16" if settings.precision == "bfloat16" else settings.precision
        )
        # Everything with variables under the scope, or updates fail obscurely.
        with self.strategy.scope():
            self.judge = build_encoder(
                looking.encoder_layers,
                looking.encoder,
                taps=looked_at,
                precision=settings.precision,
            )
            self._encoder: Any = None
            if not self._one_look:
                self._encoder = build_level_encoder(
                    network,
                    start.encoder,
                    precision=policy,
                    trainable=settings.encoder_learns,
                )
            self.encoder = self._encoder if settings.encoder_learns else None
            self.decoder = build_level_decoder(network, precision=policy)
            set_weights(self.decoder, start.decoder)
            self.averages = self._make_averages(start) if settings.ema else None
            self.optimizer = self._make_optimizer(self.learning)
            # One of its own: the memory of the other begins with the decoder.
            self.imitator: Any = None
            if settings.distill_steps:
                self.imitator = self._make_optimizer({"encoder": self.encoder})
            self.step = tf.Variable(0, dtype=tf.int64, name="step", trainable=False)
            self.best = tf.Variable(
                math.inf, dtype=tf.float64, name="best", trainable=False
            )
        # Not compiled by XLA: on CPUs it loses oneDNN's convolutions.
        self._run = tf.function(self._run_replicas, jit_compile=False)

    @property
    def learning(self) -> dict[str, keras.Model]:
        """The networks that learn, by name."""
        encoder = {"encoder": self.encoder} if self.encoder else {}
        return {"decoder": self.decoder, **encoder}

    def _make_averages(self, start: Bundle) -> Averages:
        network = start.architecture
        averaged = {"decoder": build_level_decoder(network, start.decoder)}
        if self.encoder:
            averaged["encoder"] = build_level_encoder(
                network, start.encoder, trainable=True
            )
        return Averages(self.settings.ema, self.learning, averaged)

    def _make_optimizer(self, networks: Mapping[str, keras.Model]) -> Any:
        optimizers = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}
        optimizer = optimizers[self.settings.optimizer]()
        # Before strategy.run, which cannot create variables.
        optimizer.build(_variables(networks))
        return optimizer

    def train_step(self, batch: Any, *, stop: bool = False) -> StepResult:
        """Update what learns once.

        Args:
            batch: Contents and styles, float32 RGB `[batch, crop, crop, 3]` in [0, 1]
                each; per replica where there are several.
            stop: Whether this worker wants to stop after this step.
        """
        step = int(self.step.numpy())
        imitates = self.settings.imitates(step)
        optimizer = self.imitator if imitates else self.optimizer
        optimizer.learning_rate.assign(learning_rate(self.settings, step))
        sums = self._run(batch, tf.constant(float(stop)), imitates)
        if self.averages:
            self.averages.update(self.settings.step_of_stage(step))
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

        Only the way from what learns to the losses is differentiable: the target and
        the style's statistics, by the judge, are constants.

        Args:
            content: float32 RGB `[batch, height, width, 3]` in [0, 1].
            style: Paintings of that shape.
        """
        return self._losses_against(content, style, *self._look(content, style))

    def weights(self) -> dict[str, Any]:
        """Return what learns, float32, by `<layer>/kernel` and `<layer>/bias`."""
        of_encoder = get_weights(self.encoder) if self.encoder else {}
        return {**get_weights(self.decoder), **of_encoder}

    def result(self) -> dict[str, Any]:
        """Return the weights that are judged and kept: the averages where there are."""
        return self.averages.weights() if self.averages else self.weights()

    def _look(
        self, content: tf.Tensor, style: tf.Tensor
    ) -> tuple[list[tf.Tensor], tf.Tensor, list[Moments]]:
        """Return what the losses hold a picture against; all of it constant.

        Returns:
            AdaIN's features at every tap of the network, where the losses look through
            its encoder; the target of the content loss; the style's statistics.
        """
        count = tf.shape(content)[0]
        # In one batch: larger matrix products, one pass over the weights.
        features = self.judge(tf.concat([content, style], axis=0), training=False)
        features = tf.nest.flatten(features)
        moments = [channel_moments(tap[count:]) for tap in features]
        aligned = [
            tf.stop_gradient(adain(features[i][:count], *moments[i]))
            for i in self._aligned
        ]
        last = len(self.taps) - 1
        if self.settings.content_target == "photograph":
            target = features[last][:count]
        elif self._one_look:
            target = aligned[-1]
        else:
            target = adain(features[last][:count], *moments[last])
        return aligned, tf.stop_gradient(target), moments[: len(self.taps)]

    def _picture(
        self, content: tf.Tensor, style: tf.Tensor, aligned: list[tf.Tensor]
    ) -> tf.Tensor:
        """Return the stylized contents, not clipped."""
        if self._encoder is not None:
            count = tf.shape(content)[0]
            maps = self._encoder(tf.concat([content, style], axis=0), training=True)
            aligned = [
                adain(tap[:count], *channel_moments(tap[count:]))
                for tap in tf.nest.flatten(maps)
            ]
        return self.decoder(aligned if len(aligned) > 1 else aligned[0], training=True)

    def _losses_against(
        self,
        content: tf.Tensor,
        style: tf.Tensor,
        aligned: list[tf.Tensor],
        target: tf.Tensor,
        moments: Sequence[Moments],
    ) -> dict[str, tf.Tensor]:
        settings = self.settings
        output = self._picture(content, style, aligned)
        features = tf.nest.flatten(self.judge(output, training=False))
        features = features[: len(self.taps)]
        content_part = content_loss(features[-1], target)
        layers = style_losses([channel_moments(tap) for tap in features], moments)
        style_part = tf.add_n(layers)
        total = (
            settings.content_weight * content_part + settings.style_weight * style_part
        )
        variation = total_variation_loss(output)
        if settings.tv_weight:
            total += settings.tv_weight * variation
        by_layer = {
            f"style/{tap}": loss for tap, loss in zip(self.taps, layers, strict=True)
        }
        return {
            "content": content_part,
            "style": style_part,
            "tv": variation,
            "total": total,
            **by_layer,
        }

    def _imitation(
        self, content: tf.Tensor, style: tf.Tensor
    ) -> Callable[[], dict[str, tf.Tensor]]:
        """Return the losses of the encoder against what the judge sees."""
        pictures = tf.concat([content, style], axis=0)
        features = tf.nest.flatten(self.judge(pictures, training=False))
        teacher = {tap: features[i] for tap, i in self._imitated.items()}
        powers = {tap: power(seen) for tap, seen in teacher.items()}
        if self.replicas > 1:
            # Of the whole batch, whatever the part of this replica.
            context = tf.distribute.get_replica_context()
            powers = context.all_reduce(tf.distribute.ReduceOp.MEAN, powers)

        def losses() -> dict[str, tf.Tensor]:
            made = tf.nest.flatten(self._encoder(pictures, training=True))
            student = dict(zip(teacher, made, strict=True))
            return imitation_losses(student, teacher, powers)

        return losses

    def _run_replicas(
        self, batch: Any, stop: tf.Tensor, imitates: bool
    ) -> dict[str, tf.Tensor]:
        content, style = batch
        step = functools.partial(self._replica_step, imitates=imitates)
        sums = self.strategy.run(step, args=(content, style, stop))
        # Summed over all replicas already, so each has the same.
        return {
            name: self.strategy.experimental_local_results(value)[0]
            for name, value in sums.items()
        }

    def _replica_step(
        self, content: tf.Tensor, style: tf.Tensor, stop: tf.Tensor, imitates: bool
    ) -> dict[str, tf.Tensor]:
        if imitates:
            learning, optimizer = {"encoder": self.encoder}, self.imitator
            losses_of = self._imitation(content, style)
        else:
            learning, optimizer = self.learning, self.optimizer
            looked = self._look(content, style)
            losses_of = functools.partial(self._losses_against, content, style, *looked)
        weights = _variables(learning)
        variables = [v.value for v in weights]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            losses = losses_of()
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
        optimizer.apply_gradients(
            (gradient / self.replicas, variable)
            for gradient, variable in zip(gradients, weights, strict=True)
        )
        return {**sums, "gradient_norm": norm}


def _variables(networks: Mapping[str, keras.Model]) -> list[Any]:
    return [v for network in networks.values() for v in network.trainable_variables]


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
