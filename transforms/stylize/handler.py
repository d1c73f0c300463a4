"""RunInference's model handler: makes the pictures of one block."""

import time
from collections.abc import Iterable
from typing import Any

from transforms.elements import ImageError, PreserveColor
from transforms.steps.model_handler import BatchHandler
from transforms.storage.folder import OutputFolder
from transforms.storage.worker_progress import progress_of
from transforms.stylize.blocks import Painted, StylizeBlock, StylizedBlock
from transforms.stylize.network import Network, SharedStylizer


class StylizerModelHandler(BatchHandler[StylizeBlock, StylizedBlock, SharedStylizer]):
    """Makes the pictures of one block: RunInference with batches made beforehand.

    A block holds one content, so the content is encoded once and the decoder runs once
    a cell, and results do not depend on how cells were batched. A batch that fails is
    halved until the failing cell is alone; where memory ran out, that cell is tiled.

    The result is yielded before it is there: the network works in a thread of its own
    while the stage decodes the next content and writes the last pictures.

    Args:
        network: The networks.
        output: Where the progress goes.
        preserve_color: How the colours of the content are kept.
        style_size: Shortest side of styles whose pixels are needed; 0 keeps theirs.
    """

    namespace = "Stylize"

    def __init__(
        self,
        network: Network,
        output: OutputFolder,
        preserve_color: PreserveColor = "none",
        style_size: int = 0,
    ) -> None:
        super().__init__()
        self._network = network
        self._output = output
        self._preserve_color: PreserveColor = preserve_color
        self._style_size = style_size

    def load_model(self) -> SharedStylizer:
        """Return the networks, to be built when first used."""
        return SharedStylizer(self._network, self._output)

    def run_inference(
        self,
        batch: Any,
        model: SharedStylizer,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[StylizedBlock]:
        """Yield a block whose pictures are on their way."""
        model.get()  # Its start-up is not counted as the model's work.
        yield StylizedBlock(batch, model.executor.submit(self._work, batch, model))

    def _work(
        self, block: StylizeBlock, model: SharedStylizer
    ) -> list[Painted | ImageError]:
        # Late: it imports TensorFlow, which the launcher of a remote job does without.
        from transforms.stylize.painting import paint_block

        started = time.perf_counter()
        pictures = paint_block(model, block, self._preserve_color, self._style_size)
        progress_of(self._output).add(model_seconds=time.perf_counter() - started)
        return pictures
