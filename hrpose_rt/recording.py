"""What happens to a result: it is drawn, written and counted, and told what that cost."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from types import TracebackType

from hrpose_rt.drawing import MIN_SCORE
from hrpose_rt.result import FrameResult
from hrpose_rt.streams.sinks import Sink
from hrpose_rt.timing import LatencyTable


class Recorder:
    """Passes the results of one source to its sinks. A context manager that closes them.

    Args:
        sinks: Where results go.
        table: Counts every frame.
        min_score: Keypoints below it are not drawn, in 0..1.
        window: One more sink, which outlives this source.
    """

    def __init__(
        self,
        sinks: list[Sink],
        table: LatencyTable,
        min_score: float = MIN_SCORE,
        window: Sink | None = None,
    ) -> None:
        self._own = sinks
        self._sinks = [*sinks, window] if window else sinks
        self._table = table
        self._min_score = min_score
        self._pictured = any(sink.wants_picture for sink in self._sinks)

    def record(self, results: Iterable[FrameResult]) -> Iterator[FrameResult]:
        """Each result again, once it is drawn and written, with `draw`, `write` and `age` filled in."""
        for result in results:
            begin = time.perf_counter()
            picture = result.frame.image
            if self._pictured:
                picture = result.draw(min_score=self._min_score, overlay=True)
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
            yield replace(result, times=times)

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        failed: Exception | None = None
        for sink in self._own:
            try:
                sink.close()
            except Exception as e:  # close the others too, then say so
                failed = e
        if failed and error is None:
            raise failed
