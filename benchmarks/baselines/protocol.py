"""How a baseline is asked: a JSON line on standard input for each frame, a JSON line in answer.

{"image": "frame.npy", "boxes": [[x1, y1, x2, y2], ...]}   ->   {"ms": 123.4}

Answers go to the file descriptor that HRPOSE_ANSWERS names, for libraries print to standard output whenever
they like. Without it, as in a shell, they go to standard output.
"""

import json
import os
import sys
import time
from collections.abc import Callable

import numpy as np

Work = Callable[[np.ndarray, np.ndarray], object]


def serve(name: str, work: Work) -> None:
    """Say what is ready, then do `work(image, boxes)` for each line and answer with what it took."""
    with open(int(os.environ.get("HRPOSE_ANSWERS", sys.stdout.fileno())), "w", closefd=False) as answers:
        print(json.dumps({"ready": name}), file=answers, flush=True)
        for line in sys.stdin:
            asked = json.loads(line)
            image, boxes = np.load(asked["image"]), np.array(asked["boxes"], np.float32).reshape(-1, 4)
            begin = time.perf_counter()
            work(image, boxes)
            print(json.dumps({"ms": 1e3 * (time.perf_counter() - begin)}), file=answers, flush=True)
