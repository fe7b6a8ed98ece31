"""Draw, write and count results, and record the time this takes."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from types import TracebackType

from hrpose_rt.drawing.style import DRAW_STYLE, DrawStyle
from hrpose_rt.result import FrameResult
from hrpose_rt.sinks.base import Sink
from hrpose_rt.sinks.rendering import Renderer
from hrpose_rt.timing import LatencyTable


class Recorder:
    """Passes the results of one source to its sinks. A context manager that closes them.

    Args:
        sinks: The sinks of this source.
        table: Gets the times of every frame.
        style: How frames are drawn.
        viewers: More sinks, which outlive this source.
    """

    def __init__(
        self,
        sinks: list[Sink],
        table: LatencyTable,
        style: DrawStyle = DRAW_STYLE,
        viewers: Sequence[Sink] = (),
    ) -> None:
        self._own = sinks
        self._sinks = [*sinks, *viewers]
        self._table = table
        self._renderer = Renderer(style)

    def add(self, sinks: Sequence[Sink]) -> None:
        """Add sinks, which get results from now on and are closed with the others."""
        self._own += sinks
        self._sinks += sinks

    def record(self, results: Iterable[FrameResult]) -> Iterator[FrameResult]:
        """Yield each result after it is written."""
        return map(self.write, results)

    def write(self, result: FrameResult) -> FrameResult:
        """Draw, write and count a result. Returns it with the times `draw`, `write` and `age` set."""
        begin = time.perf_counter()
        picture = result.frame.image.view()
        if any(sink.wants_picture for sink in self._sinks):
            picture = self._renderer.render(result)
        picture.flags.writeable = False  # no sink can change what other sinks or the caller see
        drawn = time.perf_counter()
        for sink in self._sinks:
            sink.write(result, picture)
        written = time.perf_counter()
        times = replace(
            result.times,
            draw=1e3 * (drawn - begin),
            write=1e3 * (written - drawn),
            age=1e3 * (written - result.frame.captured_s),
        )
        self._table.add(len(result), times)
        return replace(result, times=times)

    def close(self) -> None:
        """Close every sink, then raise the last error, if any."""
        failed: Exception | None = None
        own, self._own = self._own, []
        for sink in own:
            try:
                sink.close()
            except Exception as error:
                failed = error
        if failed:
            raise failed

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except Exception:
            if error is None:  # otherwise the first error says more
                raise
