"""A step that stays one element behind, so that it works while the network does."""

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue


def in_global_window(value: Any) -> WindowedValue:
    """Return what `finish_bundle` yields: there Beam wants to be told the window."""
    return WindowedValue(value, 0, (GlobalWindow(),))


class OneBehindDoFn(beam.DoFn):
    """Begins with each element, and ends with it when the next one is there.

    Beam runs fused steps in turns, in one thread. Whatever a subclass lets another
    thread do between `begin` and `end` goes on while the steps before are at the next
    element. One element is held beyond its turn.
    """

    def start_bundle(self) -> None:
        """Forget what a bundle that failed left."""
        self._pending: list[Any] = []

    def process(self, element: Any) -> Iterator[Any]:
        """Begin with an element; yield what came of the one before."""
        before, self._pending = self._pending, [self.begin(element)]
        for begun in before:
            yield from self.end(begun)

    def finish_bundle(self) -> Iterator[Any]:
        """Yield what came of the last one."""
        before, self._pending = self._pending, []
        for begun in before:
            for made in self.end(begun):
                tag = made.tag if isinstance(made, TaggedOutput) else None
                value = made.value if isinstance(made, TaggedOutput) else made
                windowed = in_global_window(value)
                yield windowed if tag is None else TaggedOutput(tag, windowed)

    def begin(self, element: Any) -> Any:
        """Return what `end` will be called with."""
        raise NotImplementedError

    def end(self, begun: Any) -> Iterator[Any]:
        """Yield what came of an element, tagged or not."""
        raise NotImplementedError
