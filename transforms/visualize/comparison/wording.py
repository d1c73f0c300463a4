"""What each picture of a comparison is, in plain words with the paper."""

from collections.abc import Mapping
from typing import Final

from transforms.visualize.comparison.settings import Comparison
from transforms.visualize.wording import About

_ADAIN: Final = ("Huang & Belongie 2017", "https://arxiv.org/abs/1703.06868")
_GATYS: Final = ("Gatys et al. 2016", "https://doi.org/10.1109/CVPR.2016.265")

# For each comparison, by what a tile shows.
ABOUT: Final[Mapping[Comparison, Mapping[str, About]]] = {
    Comparison.TRIPLES: {
        "picture": About(
            "The photograph, the style, and what the decoder made of the photograph's "
            "features once they had the style's statistics. Below is how one layer "
            "sees each.",
            *_ADAIN,
        ),
        "gram": About(
            "Which channels fire together, over the whole picture and wherever they "
            "fire: the brighter, the more. Rows and columns are the channels, the "
            "style's loudest first, on one scale. The more the result's looks like the "
            "style's, the more of its texture the layer sees.",
            *_GATYS,
        ),
        "aligned": About(
            "A dot is a channel: across what AdaIN asks for, upwards what there is. "
            "Grey dots are the photograph before, orange ones the result, green ones a "
            "second result. On the line it has what was asked for; the decoder, which "
            "has to paint a picture, moves it away again. Axes show roots.",
            *_ADAIN,
        ),
        "left": About(
            "How far the photographs are from what AdaIN asks for, and how far the "
            "results still are: the length of the difference as a share of what is "
            "asked for, the mean over all triples. A picture in which nothing fires is "
            "100 % away.",
            *_ADAIN,
        ),
        "map": About(
            "How strongly one channel fires at each place of each picture, on one "
            "scale. A channel that fires at the same places in the photograph and in "
            "the result kept the content; where it fires as in the style is style.",
            *_GATYS,
        ),
    },
    Comparison.NETWORKS: {
        "picture": About(
            "The photograph that both networks look at.",
            "Yosinski et al. 2015",
            "https://arxiv.org/abs/1506.06579",
        ),
        "gram": About(
            "Which channels fire together, in each network the loudest first. Numbers "
            "of channels mean nothing from one network to another, so look at the "
            "pattern: how few channels do how much of the work.",
            *_GATYS,
        ),
        "map": About(
            "A channel of the first network, and beside it the channel of the second "
            "that fires most at the same places of this photograph, with the "
            "correlation r over places. Near 1: the other network has such a channel, "
            "too.",
            "Li et al. 2015",
            "https://arxiv.org/abs/1511.07543",
        ),
    },
    Comparison.SIMILARITY: {
        "cka": About(
            "How alike two layers are over all photographs: 1 where one layer is the "
            "other one turned and scaled, whatever the numbers of its channels. The "
            "second matrix takes off what few examples add by chance: unrelated layers "
            "are near 0 there. Neither says what the layers are good for.",
            "Kornblith et al. 2019",
            "https://arxiv.org/abs/1905.00414",
        ),
    },
}
