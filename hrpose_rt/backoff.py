"""Pauses between the attempts to reach another machine."""

import math
import time
from collections.abc import Iterator

FIRST_BACKOFF_S, MAX_BACKOFF_S = 0.5, 8.0  # pauses between two attempts to reconnect; they double


def backoff(timeout_s: float = math.inf) -> Iterator[float]:
    """Seconds to wait before each attempt to reconnect. Ends once the attempts have taken `timeout_s`."""
    begin, pause = time.monotonic(), FIRST_BACKOFF_S
    while timeout_s and time.monotonic() - begin <= timeout_s:
        yield pause
        pause = min(2 * pause, MAX_BACKOFF_S)
