"""What the course shows: a row for each figure of its slides and each exercise."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Final

from slides import gatys, keeping, network, normalization, seeing
from slides.classroom import Classroom
from slides.figure import Figure

Drawer = Callable[[Classroom], Sequence[Figure]]


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One figure of a slide, or one exercise.

    Attributes:
        name: Short name, for links and files.
        part: Part of the course.
        title: What it is.
        text: What is to be seen in it.
        draw: Draws it.
        command: What makes it of one's own pictures.
        columns: Pictures beside each other; 0 as many as there is room for.
    """

    name: str
    part: str
    title: str
    text: str
    draw: Drawer
    command: str = ""
    columns: int = 0


_SEES: Final = "What VGG sees"
_STYLE: Final = "A neural algorithm of artistic style"
_ADAIN: Final = "Adaptive instance normalisation"
_KEEP: Final = "Saving and loading"
_TODO: Final = "Exercises"

ROWS: Final[Sequence[Row]] = (
    Row(
        "vgg",
        _SEES,
        "VGG, drawn to scale",
        "Blocks of convolutions, poolings between them. From block to block the maps "
        "are halved and the channels doubled, to 512. Most parameters are in the "
        "classifier, which style transfer leaves out.",
        network.to_scale,
    ),
    Row(
        "filters",
        _SEES,
        "The filters of the first layer",
        "In grey for red, green and blue: some are edges, equal in all three, some "
        "are colours, and differ.",
        network.first_filters,
        command="stylebeam visualize --input photos --output seen --kinds filters",
        columns=4,
    ),
    Row(
        "maps",
        _SEES,
        "Feature maps, from the first layer to the fifth block",
        "The first layer keeps edges and colours at full size. Deeper maps are small "
        "and answer to few places.",
        seeing.feature_maps,
        command="stylebeam visualize --input photos --output seen --kinds features",
    ),
    Row(
        "gradients",
        _SEES,
        "Maximum neurons and one map, by three gradients",
        "Which pixels move a deep layer. Guided backpropagation draws the clearest "
        "lines, and depends least on what the network has learned.",
        seeing.gradients,
        command="stylebeam visualize --input photos --output seen --kinds "
        "saliency,deconvnet,guided",
        columns=3,
    ),
    Row(
        "relu",
        _SEES,
        "Three ways back through a ReLU, in numbers",
        "The small example of the slide (Springenberg et al. 2014, figure 1), "
        "computed by the network code.",
        seeing.small_example,
    ),
    Row(
        "input",
        _SEES,
        "Wrong against right preprocessing",
        "VGG has learned from BGR in 0 to 255 less the mean. Other input gives no "
        "error, only other maps.",
        network.preprocessing,
        columns=5,
    ),
    Row(
        "class",
        _SEES,
        "The class of a photograph",
        "What the whole network, with its classifier, calls the photograph.",
        seeing.named,
        command="stylebeam visualize --input photos --output named --weights FILE "
        "--classes top:5 --kinds classes",
    ),
    Row(
        "wishes",
        _SEES,
        "What a channel would like to see",
        "Pictures that excite one channel most, found by changing pixels that are "
        "almost grey at first. Deeper layers want larger things.",
        seeing.wishes,
        command="stylebeam visualize --input photos --output wanted --kinds activation",
        columns=3,
    ),
    Row(
        "rebuilt",
        _STYLE,
        "Content and style, rebuilt from noise layer by layer",
        "Shallow layers give the photograph back pixel by pixel, deep ones its "
        "shapes. The more layers, the larger the strokes that come back.",
        gatys.rebuilt,
        command="stylebeam optimize --content photos --style paintings --output made "
        "--init noise --optimizer lbfgs --pyramid 1 --style-weight 0 --tv-weight 0",
        columns=5,
    ),
    Row(
        "gram",
        _STYLE,
        "Gram matrices",
        "How often two channels fire together, all places summed up. Where something "
        "is does not matter any more; that is style.",
        gatys.gram_matrices,
        columns=4,
    ),
    Row(
        "way",
        _STYLE,
        "The picture on its way",
        "Colours come first, then strokes. The losses fall fast and then slowly.",
        gatys.on_its_way,
        command="stylebeam optimize --content photos --style paintings --output made "
        "--snapshots 5",
    ),
    Row(
        "tv",
        _STYLE,
        "Total variation, with and without, by both formulas",
        "|Δx| and |Δy| are the differences to the next pixel to the right and below. "
        "Without the term the picture is full of small noise.",
        gatys.total_variations,
        command="stylebeam optimize --content photos --style paintings --output made "
        "--tv isotropic --tv-weight 3000",
        columns=3,
    ),
    Row(
        "axes",
        _ADAIN,
        "Four normalisations and their axes",
        "They differ in what shares a mean and a deviation, and in where scale and "
        "shift come from.",
        normalization.axes,
        columns=4,
    ),
    Row(
        "alpha",
        _ADAIN,
        "The autoencoder at α = 0, and the strengths above it",
        "At 0 the style has no part: what differs from the photograph is what encoder "
        "and decoder lose.",
        normalization.strengths,
        command="stylebeam stylize --content photos --style paintings --output steps "
        "--alpha 0,0.25,0.5,0.75,1",
        columns=6,
    ),
    Row(
        "seconds",
        _ADAIN,
        "Gatys against AdaIN, in seconds",
        "One goes back and forth hundreds of times for each picture, the other "
        "learned once and goes forth once.",
        normalization.seconds,
    ),
    Row(
        "styles",
        _ADAIN,
        "25 styles",
        "One photograph, one network, 25 paintings that it has not been trained on.",
        normalization.styles,
        command="stylebeam stylize --content photos --style paintings --output grid",
    ),
    Row(
        "restored",
        _KEEP,
        "A fresh model against a restored one",
        "The architecture is in the code, what was learned is in the file.",
        keeping.fresh_and_restored,
    ),
    Row(
        "checkpoint",
        _KEEP,
        "What is inside a checkpoint",
        "Names, shapes and numbers; no code and no graph.",
        keeping.inside_a_checkpoint,
    ),
    Row(
        "callback",
        _KEEP,
        "ModelCheckpoint and the optimizer",
        "Who goes on with a training needs the optimizer's state, too.",
        keeping.model_checkpoint,
    ),
    Row(
        "loop",
        _KEEP,
        "save_weights in a loop of one's own",
        "Nothing but the weights, at any moment.",
        keeping.custom_loop,
    ),
    Row(
        "layers",
        _TODO,
        "Exercise: other content and style layers, together",
        "A deeper content layer leaves more freedom, fewer style layers leave out the "
        "large strokes. Both together do not add up to the sum of the two.",
        gatys.other_layers,
        command="stylebeam optimize --content photos --style paintings --output made "
        "--content-layers block5_conv2 --style-layers "
        "block1_conv1,block2_conv1,block3_conv1",
        columns=4,
    ),
)
