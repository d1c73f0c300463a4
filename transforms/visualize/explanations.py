"""Which pixels of one image move a target: every method, its check, its curves.

The methods themselves are in `model.attribution`; here the settings are turned into
their arguments, and each map is compared with those of the randomised twins.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from model.networks.vgg import PREDICTIONS
from transforms.visualize.networks import Map, Networks, chosen_targets
from transforms.visualize.settings import (
    CAMS,
    GRADIENTS,
    Kind,
    VisualizeSettings,
)

if TYPE_CHECKING:
    from model.attribution.gradients import Activations, Attribution

# Maps of about 224 x 300 pixels that go back at a time; more is no faster on a CPU.
_MAPS_AT_A_TIME = 8
_PIXELS_AT_A_TIME = _MAPS_AT_A_TIME * 300 * 300

# The maps that a curve is compared with.
CONTROLS: Final = ("random", "centre")


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Gradient:
    """What one target of one layer sends back to the pixels by one kind.

    Attributes:
        channel: The feature map or the class; None for the maximum neurons.
        pixels: float32 [height, width, 3], a value for each colour of a pixel, or
            [height, width, 1], one for each pixel.
        rank_correlation: Correlation of its magnitude with that of the randomised
            network; None where it was not asked for or a map is constant.
        variant: What tells it from others of its kind: the baseline.
        facts: What else is known of it, as `facts/<image id>.json` keeps it.
    """

    channel: int | None
    pixels: Map
    rank_correlation: float | None
    variant: str = ""
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)


Explanations = dict[tuple[str, Kind], list[Gradient]]


def explain(
    pixels: Map,
    activations: "Activations",
    features: Mapping[str, Map],
    networks: Networks,
    settings: VisualizeSettings,
) -> Explanations:
    """Return the maps of all targets of a picture, by layer and kind.

    Args:
        pixels: float32 [1, height, width, 3], RGB in [0, 1].
        activations: What `networks.network` gives of the picture.
        features: float32 [h, w, channels] of each layer with targets.
        networks: The network and its twins.
        settings: What is asked.

    Raises:
        FloatingPointError: A map is not finite.
    """
    if not settings.rules:
        return {}
    picture = _Picture(pixels, activations, features, networks, settings)
    found: Explanations = {}
    for layer in settings.targets:
        for kind in settings.rules:
            gradients = [
                gradient
                for variant in settings.variants(kind, layer)
                for gradient in picture.gradients(layer, kind, variant)
            ]
            if gradients:
                found[layer, kind] = gradients
    return found


class _Picture:
    """One picture while it is explained."""

    def __init__(
        self,
        pixels: Map,
        activations: "Activations",
        features: Mapping[str, Map],
        networks: Networks,
        settings: VisualizeSettings,
    ) -> None:
        self._pixels = pixels
        self._own = activations
        self._networks = networks
        self._settings = settings
        at_a_time = _PIXELS_AT_A_TIME // (pixels.shape[1] * pixels.shape[2])
        self._at_a_time = max(1, min(_MAPS_AT_A_TIME, at_a_time))
        self._twin_seen: tuple[tuple[str, int], Activations] = ("", 0), {}
        self._digest = hashlib.sha256(pixels.tobytes()).hexdigest()
        self._targets = {
            layer: chosen_targets(layer, features[layer], settings)
            for layer in settings.targets
        }

    def gradients(self, layer: str, kind: Kind, variant: str) -> list[Gradient]:
        """Return the maps of a layer's targets by one kind."""
        from model.attribution.randomization_check import magnitude, rank_correlation

        targets = self._targets[layer]
        network = self._networks.upto[layer]
        maps, facts = self._maps(network, layer, kind, variant)
        if not np.isfinite(maps).all():
            raise FloatingPointError(f"a map of {layer} by {kind} is not finite")
        ranks: list[list[float | None]] = [[] for _ in targets]
        steps = max((fact.get("steps", 0) for fact in facts), default=0)
        for place in range(len(self._networks.randomized.get(layer, ()))):
            erased, _ = self._erased(layer, place, kind, variant, steps)
            for known, one, other in zip(ranks, maps, erased, strict=True):
                known.append(rank_correlation(magnitude(one), magnitude(other)))
        if kind in CAMS:
            maps = self._enlarged(maps)
        for fact, known in zip(facts, ranks, strict=True):
            if self._settings.methods.cascade and known:
                fact["cascade"] = known
        self._tell_classes(layer, facts)
        if self._settings.methods.curves:
            self._tell_curves(layer, kind, maps, facts)
        maps = self._networks.kept(maps)
        return [
            Gradient(target, one, _three_deep(known), variant, fact)
            for target, one, known, fact in zip(
                targets, maps, ranks, facts, strict=True
            )
        ]

    def _erased(
        self, layer: str, place: int, kind: Kind, variant: str, steps: int
    ) -> tuple[Map, list[dict[str, Any]]]:
        twin = self._networks.randomized[layer][place]
        return self._maps(twin, layer, kind, variant, place, steps)

    def _maps(
        self,
        network: "Attribution",
        layer: str,
        kind: Kind,
        variant: str,
        place: int | None = None,
        steps: int = 0,
    ) -> tuple[Map, list[dict[str, Any]]]:
        """Return maps [targets, h, w, 3 or 1], and what is known of each.

        Args:
            network: The network to the layer, or a twin of it.
            layer: The layer of the targets.
            kind: Which method.
            variant: The baseline.
            place: Place of the twin; None for the network itself.
            steps: How many steps a twin's integrated gradients take.
        """
        targets = self._targets[layer]
        methods = self._settings.methods
        facts: list[dict[str, Any]] = [{} for _ in targets]
        if kind is Kind.SMOOTHGRAD:
            from model.attribution.smoothgrad import smoothgrad

            maps = smoothgrad(
                network,
                self._pixels,
                layer,
                targets,
                samples=methods.samples,
                noise=methods.noise,
                seed=self._seed("smoothgrad"),
                maps_at_a_time=self._at_a_time,
            )
        elif kind is Kind.INTEGRATED:
            found = self._integrated(network, layer, variant, steps)
            maps = found.maps
            for fact, change, missed, taken in zip(facts, *found[1:], strict=True):
                fact["baseline"] = variant
                fact["change"] = float(change)
                fact["incomplete"] = float(missed) if np.isfinite(missed) else None
                fact["steps"] = int(taken)
        elif kind is Kind.OCCLUSION:
            maps = self._occluded[layer][0 if place is None else place + 1]
        else:
            activations = self._own
            if place is not None:
                activations = self._twin_activations(network, layer, place)
            if kind in CAMS:
                maps = self._cam(network, activations, layer, kind)
            else:
                # A kind of gradient is named as its rule.
                rule = cast(Any, str(kind))
                maps = network.gradients(
                    activations, layer, rule, targets, self._at_a_time
                )[0]
        return maps, facts

    def _twin_activations(
        self, twin: "Attribution", layer: str, place: int
    ) -> "Activations":
        """Return the activations of a twin; the last are kept for the next kind."""
        if self._twin_seen[0] != (layer, place):
            seen = twin.activations(self._pixels, self._own)
            self._twin_seen = (layer, place), seen
        return self._twin_seen[1]

    def _integrated(
        self, network: "Attribution", layer: str, variant: str, steps: int
    ) -> Any:
        from model.attribution.integrated import (
            FEWEST_STEPS,
            MOST_STEPS,
            integrated_gradients,
        )

        targets = self._targets[layer]
        return integrated_gradients(
            network,
            self._pixels,
            self._baseline(variant),
            layer,
            targets,
            fewest=steps or FEWEST_STEPS,
            most=steps or MOST_STEPS,
            at_a_time=max(1, self._at_a_time // max(1, len(targets))),
            maps_at_a_time=self._at_a_time,
        )

    def _baseline(self, variant: str) -> Map:
        from model.attribution.fidelity import blurred

        if variant == "blurred":
            return np.asarray(blurred(self._pixels))
        colour = _grey() if variant == "grey" else np.zeros(3, np.float32)
        return np.broadcast_to(colour, self._pixels.shape)

    def _cam(
        self, network: "Attribution", activations: "Activations", layer: str, kind: Kind
    ) -> Map:
        from model.attribution.grad_cam import grad_cam, grad_cam_plus_plus

        at = self._settings.cam_layer(layer)
        gradients = network.gradients_at(
            activations, layer, self._targets[layer], at, self._at_a_time
        )
        method = grad_cam if kind is Kind.GRAD_CAM else grad_cam_plus_plus
        return method(activations[at].numpy()[0], gradients[0])[..., None]

    def _enlarged(self, maps: Map) -> Map:
        from model.attribution.grad_cam import enlarged

        return enlarged(maps[..., 0], *self._pixels.shape[1:3])[..., None]

    @functools.cached_property
    def _occluded(self) -> dict[str, list[Map]]:
        """The occlusion maps of the network, then of its twins, by the layer."""
        from model.attribution.occlusion import Probe, occlusion_maps

        # The network itself looks once, for the targets of all layers.
        whole = self._networks.network
        probes = [
            Probe(network, layer, self._targets[layer])
            for layer in self._settings.targets
            for network in (whole, *self._networks.randomized.get(layer, ()))
        ]
        maps = occlusion_maps(
            whole,
            self._pixels,
            probes,
            window=self._settings.methods.window,
            colour=_grey(),
            at_a_time=self._at_a_time,
        )
        found: dict[str, list[Map]] = {}
        for probe, own in zip(probes, maps, strict=True):
            found.setdefault(probe.layer, []).append(own[..., None])
        return found

    def _tell_classes(self, layer: str, facts: Sequence[dict[str, Any]]) -> None:
        """Add to the facts of classes their names and probabilities."""
        if layer != PREDICTIONS:
            return
        from model.networks.class_names import shown_name

        known = class_probabilities(self._own[layer].numpy()[0])
        for fact, target in zip(facts, self._targets[layer], strict=True):
            number = cast(int, target)
            fact["name"] = shown_name(self._networks.class_names, number)
            fact["probability"] = float(known[number])

    def _tell_curves(
        self, layer: str, kind: Kind, maps: Map, facts: Sequence[dict[str, Any]]
    ) -> None:
        """Add to the facts the scores while pixels are inserted and deleted."""
        for place, (fact, one) in enumerate(zip(facts, maps, strict=True)):
            own = self._curves(layer, importance(kind, one), [place])
            for name, (inserted, deleted) in {
                "curves": own,
                **self._control_curves(layer),
            }.items():
                column = 0 if name == "curves" else place
                fact[name] = {
                    "insertion": inserted[:, column].tolist(),
                    "deletion": deleted[:, column].tolist(),
                }

    def _control_curves(self, layer: str) -> dict[str, Any]:
        """Return what the curves of a layer are compared with; made once."""
        if layer not in self._controls:
            from model.attribution.fidelity import centre_importance, random_importance

            _, height, width, _ = self._pixels.shape
            every = range(len(self._targets[layer]))
            random = random_importance(height, width, self._seed("random"))
            self._controls[layer] = {
                "random": self._curves(layer, random, every),
                "centre": self._curves(layer, centre_importance(height, width), every),
            }
        return self._controls[layer]

    @functools.cached_property
    def _controls(self) -> dict[str, dict[str, Any]]:
        return {}

    def _curves(self, layer: str, order: Any, places: Sequence[int]) -> Any:
        from model.attribution.fidelity import curves

        network = self._networks.upto[layer]
        targets = [self._targets[layer][place] for place in places]

        def scores(pictures: Map) -> Any:
            seen = network.activations(pictures)
            if layer == PREDICTIONS:
                known = [class_probabilities(one) for one in seen[layer].numpy()]
                return np.stack(known)[:, cast(list[int], targets)]
            values = network.objectives(seen, layer, targets)
            # A share of what the whole picture gives, so that curves are alike.
            return values / np.where(whole, whole, 1)

        whole = network.objectives(self._own, layer, targets)
        return curves(scores, self._pixels, order, _grey(), self._at_a_time)

    def _seed(self, what: str) -> list[int]:
        text = f"{what} {self._settings.methods.seed} {self._digest}"
        return list(hashlib.sha256(text.encode()).digest())


def _grey() -> Map:
    """Return the mean colour of VGG's training, which it sees as nothing: RGB."""
    from model.networks.encoder import IMAGENET_MEAN_BGR

    return np.array(IMAGENET_MEAN_BGR[::-1], np.float32) / np.float32(255)


def _three_deep(ranks: Sequence[float | None]) -> float | None:
    """Return the correlation with the three deepest convolutions randomised."""
    from model.attribution.randomization_check import RANDOMIZED_LAYERS

    return ranks[min(RANDOMIZED_LAYERS, len(ranks)) - 1] if ranks else None


def importance(kind: Kind, pixels: Map) -> Map:
    """Return which pixels a map holds for important: float [height, width].

    Gradients say how strongly a pixel counts, not whether it speaks for the target:
    their magnitude is taken. The other maps are signed: what speaks for it is first.
    """
    if kind in (*GRADIENTS, Kind.SMOOTHGRAD):
        return np.asarray(np.abs(pixels).max(axis=-1))
    return np.asarray(pixels.sum(axis=-1))


def class_probabilities(scores: Map) -> Any:
    """Return how likely each class is: float64 [classes].

    Args:
        scores: float [h, w, classes], the head's at each place.
    """
    from model.networks.head import probabilities

    return probabilities(scores.mean(axis=(0, 1), dtype=np.float64))
