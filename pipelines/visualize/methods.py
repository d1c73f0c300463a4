"""What the methods and classes that were asked for come to, before anything runs."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from model.config import ConvSpec, canonical_json
from model.networks.class_names import class_number, imagenet_names, read_names
from model.networks.vgg import PREDICTIONS, SMALLEST_SIDE
from pipelines.errors import UsageError
from pipelines.visualize.config import VisualizeConfig
from transforms.steps.tensorflow_start import without_greeting
from transforms.visualize.settings import CAMS, Channels, Kind, Methods

_IMAGENET_CLASSES = 1000


def plan_methods(
    config: VisualizeConfig, layers: Sequence[ConvSpec], network: Sequence[ConvSpec]
) -> Methods:
    """Return how the methods work, without the classes.

    Args:
        config: What was asked for.
        layers: The layers asked for, from the pixels inwards.
        network: All convolutions.

    Raises:
        UsageError: Grad-CAM or occlusion cannot do that.
    """
    kinds = config.chosen_kinds()
    cams = [kind for kind in kinds if kind in CAMS]
    if cams:
        _check_cam_layer(config, cams[0], [spec.name for spec in layers], network)
    if Kind.OCCLUSION in kinds and 0 < config.size < config.window:
        raise UsageError(
            f"--window {config.window}: larger than the pictures, whose shortest side "
            f"is {config.size} with --size {config.size}."
        )
    if config.classes and 0 < config.size < SMALLEST_SIDE:
        raise UsageError(
            f"--size {config.size}: {PREDICTIONS} has no neuron below {SMALLEST_SIDE} "
            "pixels on the shortest side, so --classes need at least that."
        )
    drawn = Kind.SMOOTHGRAD in kinds or config.curves
    return Methods(
        samples=config.samples,
        noise=config.noise,
        # That of feature visualizations is in their own settings.
        seed=config.seed if drawn else Methods().seed,
        baselines=tuple(dict.fromkeys(config.baselines)),
        cam_layer=config.cam_layer or "",
        window=config.window,
        cascade=config.cascade,
        curves=config.curves,
    )


def _check_cam_layer(
    config: VisualizeConfig,
    kind: Kind,
    layers: Sequence[str],
    network: Sequence[ConvSpec],
) -> None:
    names = [spec.name for spec in network]
    at = config.cam_layer
    if not at:
        first = next(spec.name for spec in network if spec.pool_before)
        if not config.classes and all(
            names.index(n) < names.index(first) for n in layers
        ):
            raise UsageError(
                f"--kinds {kind}: Grad-CAM looks in an earlier block, and "
                f"{', '.join(layers)} has none before. Ask for {first} or deeper with "
                "--layers."
            )
        return
    if at not in names:
        raise UsageError(
            f"--cam-layer {at}: no such layer. The layers are: {', '.join(names)}."
        )
    early = [name for name in layers if names.index(name) <= names.index(at)]
    if early:
        raise UsageError(
            f"--cam-layer {at}: Grad-CAM looks before its target, and {early[0]} is "
            f"{'that layer' if early[0] == at else 'before it'}. What a layer shows of "
            "itself are its feature maps (--kinds features)."
        )


def plan_classes(
    config: VisualizeConfig, weights: Mapping[str, Any], trunk: ConvSpec
) -> tuple[Channels, tuple[str, ...]]:
    """Return the classes asked for and the names of all classes.

    Args:
        config: What was asked for.
        weights: The network's.
        trunk: The last convolution before the head.

    Raises:
        UsageError: There is no head, it does not fit, or a class is unknown.
    """
    if not config.classes:
        return Channels(), ()
    with without_greeting():
        from model.networks.head import has_head, head_of

    asked = f"--classes {' '.join(config.classes)}"
    origin = config.weights or config.network
    if not has_head(weights):
        raise UsageError(
            f"{asked}: {origin} has no head (fc1, fc2, {PREDICTIONS}), which would "
            "give names and scores of classes. Give weights with it, or leave "
            "--classes out: every kind works on channels (--gradient-channels)."
        )
    try:
        layers, _ = head_of(weights, trunk, origin=origin)
    except ValueError as error:
        raise UsageError(f"{asked}: {error}") from error
    count = layers[-1].out_channels
    names = _names(config, count)
    return _chosen(config.classes, names, count), names


def _names(config: VisualizeConfig, count: int) -> tuple[str, ...]:
    if config.class_names is None:
        return imagenet_names() if count == _IMAGENET_CLASSES else ()
    try:
        names = read_names(config.class_names)
    except (OSError, ValueError) as error:
        raise UsageError(f"--class-names {config.class_names}: {error}") from error
    if len(names) != count:
        raise UsageError(
            f"--class-names {config.class_names}: it has {len(names)} lines, and the "
            f"head tells {count} classes apart. Give a line for each."
        )
    return names


def _chosen(wanted: Sequence[str], names: Sequence[str], count: int) -> Channels:
    """Return the classes that words ask for, numbers or names, or `top:N` alone."""
    if len(wanted) == 1 and wanted[0].startswith("top:"):
        try:
            chosen = Channels.parse(wanted[0])
        except ValueError as error:
            raise UsageError(
                f"--classes {wanted[0]}: expected top:N, names or numbers."
            ) from error
        if not 1 <= chosen.top <= count:
            raise UsageError(f"--classes {wanted[0]}: expected top:1 to top:{count}.")
        return chosen
    if several := [word for word in wanted if word.startswith("top:")]:
        raise UsageError(
            f"--classes {' '.join(wanted)}: {several[0]} stands alone, without names, "
            "numbers or another top:N."
        )
    found = [_number(word, names, count) for word in wanted]
    return Channels(listed=tuple(dict.fromkeys(found)))


def _number(word: str, names: Sequence[str], count: int) -> int:
    if word.isascii() and word.isdecimal():
        if int(word) < count:
            return int(word)
        raise UsageError(f"--classes {word}: the classes are 0 to {count - 1}.")
    if not names:
        raise UsageError(
            f"--classes {word!r}: no names are known. Give the number, the names with "
            "--class-names FILE, or install those of ImageNet's 1,000 classes: pip "
            "install 'stylebeam[classes]'."
        )
    try:
        return class_number(names, word)
    except ValueError as error:
        raise UsageError(f"--classes {word!r}: {error}.") from error


def names_sha256(names: Sequence[str]) -> str:
    """Return the sha256 of the names of classes; empty where there are none."""
    return hashlib.sha256(canonical_json(list(names))).hexdigest() if names else ""
