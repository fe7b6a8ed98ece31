"""Several sources at once: frames that are ready at the same time are taken together."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any

from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.sources.base import Source, is_source
from hrpose_rt.sources.live import CLOSING_S
from hrpose_rt.types import Frame

SYNC_WAIT_S = 0.004  # how long a frame waits for the frames of the other sources


def check_sources(sources: Any) -> list[Source]:
    """The sources of a list; raise BadInput if one is not a source, or is given twice."""
    alone = is_source(sources) or not isinstance(sources, Iterable)
    listed = [sources] if alone else list(sources)
    if wrong := [one for one in listed if alone or not is_source(one)]:
        kind = type(wrong[0]).__name__
        raise BadInput(f"`sources` is a list of opened sources, not {kind}: open them by open_source")
    if len(set(map(id, listed))) < len(listed):
        raise BadInput("a source is given twice: open it once for each")
    return listed


class MultiSource:
    """Takes the next frame of every source that has one, in rounds. A context manager.

    Each source has a thread, which asks for a frame only when the previous round is done. So a live source
    gives its newest frame and a video loses none. The caller opens and closes the sources. Leaving the
    context waits until no thread reads them.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self._changed = threading.Condition()
        self._requested = [False] * len(sources)
        self._frames: dict[int, Frame] = {}
        self._ended: dict[int, BaseException | None] = {}
        self._going = set(range(len(sources)))
        self._closing = False
        self._live = [source.info.is_live for source in sources]
        self._threads = [
            threading.Thread(target=self._read, args=(i, source), daemon=True)
            for i, source in enumerate(sources)
        ]

    def _read(self, i: int, source: Source) -> None:
        broken: BaseException | None = None
        try:
            frames = iter(source)
            while self._wait_for_request(i) and (frame := next(frames, None)) is not None:
                if not isinstance(frame, Frame):
                    raise BadInput(
                        f"{source.info.name} gives {type(frame).__name__}: a source gives `Frame`s"
                    )
                with self._changed:
                    self._frames[i] = frame
                    self._changed.notify_all()
        except BaseException as error:  # any error is raised in the caller's thread
            broken = error
        with self._changed:
            self._ended[i] = broken
            self._changed.notify_all()

    def _wait_for_request(self, i: int) -> bool:
        """Wait until a frame of source `i` is requested; False if the sources are closing."""
        with self._changed:
            self._changed.wait_for(lambda: self._requested[i] or self._closing)
            self._requested[i] = False
            return not self._closing

    def __iter__(self) -> Iterator[tuple[dict[int, Frame], dict[int, RunBroken | None]]]:
        """Yield rounds: the frames by source, and the sources that ended, each with its RunBroken or None.

        Any other error of a source is raised here, after the frames of its round.
        """
        for thread in self._threads:
            thread.start()
        pending: set[int] = set()
        while self._going:
            with self._changed:
                for i in self._going - pending:
                    self._requested[i] = True
                self._changed.notify_all()
                self._changed.wait_for(self._some)
                self._changed.wait_for(self._all, SYNC_WAIT_S)
                frames, self._frames = self._frames, {}
                ended, self._ended = self._ended, {}
            self._going -= set(ended)
            pending = self._going - set(frames)  # the sources that have not answered yet
            broken = {
                i: error for i, error in ended.items() if error is None or isinstance(error, RunBroken)
            }
            yield frames, broken
            for i in ended.keys() - broken.keys():
                if error := ended[i]:
                    raise error

    def _some(self) -> bool:
        return bool(self._frames or self._ended)

    def _all(self) -> bool:
        return len(self._frames) + len(self._ended) >= len(self._going)

    def __enter__(self) -> "MultiSource":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread, live in zip(self._threads, self._live, strict=True):
            if thread.ident is not None:
                thread.join(CLOSING_S if live else None)  # a live source may wait long for a frame
