"""What each picture is, in plain words for somebody who sees it for the first time."""

import dataclasses
from collections.abc import Mapping
from typing import Final

from transforms.visualize.settings import Excited, Kind


@dataclasses.dataclass(frozen=True, slots=True)
class About:
    """What is said of a kind of picture.

    Attributes:
        text: What one is looking at.
        paper: Authors and year of the paper that it comes from.
        url: Where the paper is.
    """

    text: str
    paper: str
    url: str


_OLAH: Final = ("Olah et al. 2017", "https://distill.pub/2017/feature-visualization")

# By the kind of a picture; feature visualizations by what they excite, too.
ABOUT: Final[Mapping[str, About]] = {
    "filters": About(
        "The weights of each filter: what the convolution looks for in its 3 × 3 "
        "neighbourhood. Only those of the first layer are colours; the rest weigh the "
        "channels before them, a small square for each.",
        "Krizhevsky et al. 2012",
        "https://doi.org/10.1145/3065386",
    ),
    "features": About(
        "How strongly a channel fires at each place of this photograph. Dark places "
        "leave it cold; the brighter, the stronger it fires.",
        "Yosinski et al. 2015",
        "https://arxiv.org/abs/1506.06579",
    ),
    "saliency": About(
        "Which pixels would change the target, neurons or a class, most if they were a "
        "little different: the plain gradient. It is noisy, and it depends on what the "
        "network learned.",
        "Simonyan et al. 2013",
        "https://arxiv.org/abs/1312.6034",
    ),
    "deconvnet": About(
        "The target's activity sent back through the network, keeping what is positive "
        "at every step. It looks clean because it largely redraws the photograph.",
        "Zeiler & Fergus 2013",
        "https://arxiv.org/abs/1311.2901",
    ),
    "guided": About(
        "The gradient, keeping at every step only what is positive and comes from a "
        "neuron that fired. It looks clean because it largely redraws the photograph.",
        "Springenberg et al. 2014",
        "https://arxiv.org/abs/1412.6806",
    ),
    "smoothgrad": About(
        "The gradient, averaged over noisy copies of the photograph: what stays is "
        "what they agree on, and less of the noise of one.",
        "Smilkov et al. 2017",
        "https://arxiv.org/abs/1706.03825",
    ),
    "integrated": About(
        "The gradient, averaged on the way from a picture without content to this one, "
        "times the change of each pixel: its share of what the photograph adds to the "
        "target. How closely the shares sum to that is told with each map.",
        "Sundararajan et al. 2017",
        "https://arxiv.org/abs/1703.01365",
    ),
    "grad-cam": About(
        "Where an earlier layer saw what speaks for the target: its feature maps, each "
        "weighted by how much the target rises with it. Coarse, as that layer is.",
        "Selvaraju et al. 2017",
        "https://arxiv.org/abs/1610.02391",
    ),
    "grad-cam-plus-plus": About(
        "Where an earlier layer saw what speaks for the target, weighted so that "
        "several things of one kind in a photograph all count. Coarse, as that layer "
        "is.",
        "Chattopadhay et al. 2018",
        "https://arxiv.org/abs/1710.11063",
    ),
    "occlusion": About(
        "How much the target falls while a grey window covers a place, averaged over "
        "the windows that do. No gradient is asked for; but a grey square is a thing, "
        "too, that some channels look for.",
        "Zeiler & Fergus 2013",
        "https://arxiv.org/abs/1311.2901",
    ),
    "classes": About(
        "How likely the network holds each class at each place of the photograph: its "
        "head, slid over the picture.",
        "Simonyan & Zisserman 2014",
        "https://arxiv.org/abs/1409.1556",
    ),
    "top-images": About(
        "The places in these photographs that excite a channel most, cut to what its "
        "strongest neuron can see. They show what goes together with the channel; that "
        "may be more than what it responds to.",
        "Zeiler & Fergus 2013",
        "https://arxiv.org/abs/1311.2901",
    ),
    f"activation-{Excited.CHANNEL}": About(
        "A picture that was made, not found: from almost grey it was changed step by "
        "step until the channel fired as strongly as possible everywhere. It shows "
        "what the channel responds to, and not that any photograph has it.",
        *_OLAH,
    ),
    f"activation-{Excited.NEURON}": About(
        "A picture that was made to excite one neuron, in the middle, as strongly as "
        "possible. What the neuron cannot see stays nearly grey.",
        *_OLAH,
    ),
    f"activation-{Excited.LAYER}": About(
        "A picture that was made, not found: whatever the layer responded to was made "
        "stronger, step by step (DeepDream). It shows the favourites of all channels "
        "together.",
        "Mordvintsev et al. 2015",
        "https://research.google/blog/inceptionism-going-deeper-into-neural-networks/",
    ),
    f"activation-{Excited.BETWEEN}": About(
        "Five pictures that were made, not found, all from one beginning: the first "
        "excites one channel, the last another, and those between a mixture of both.",
        *_OLAH,
    ),
}


def about_of(kinds: tuple[Kind, ...]) -> dict[str, dict[str, str]]:
    """Return what is said of the pictures of some kinds, as a page reads it."""
    return {
        name: dataclasses.asdict(about)
        for name, about in ABOUT.items()
        if any(name in (kind, *(f"{kind}-{one}" for one in Excited)) for kind in kinds)
    }
