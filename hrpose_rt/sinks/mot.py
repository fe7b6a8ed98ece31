"""Results in the MOT Challenge format."""

import numpy as np

from hrpose_rt.result import FrameResult
from hrpose_rt.run_info import RunInfo
from hrpose_rt.sinks.text import LineFile
from hrpose_rt.types import U8, SourceInfo


class MotSink(LineFile):
    """Writes MOT Challenge tracks: frame, id, left, top, width, height, score, -1, -1, -1.

    Frames, ids and pixels count from 1, as in the development kit. Elsewhere they count from 0.
    People without an id are left out, because the format has only tracks.
    """

    def __init__(self, path: str, info: SourceInfo, run: RunInfo) -> None:
        super().__init__(path)

    def write(self, result: FrameResult, picture: U8) -> None:
        """See `Sink.write`."""
        tracked = result.track_ids >= 0
        boxes, scores = result.detections.boxes[tracked], result.detections.scores[tracked]
        sizes = boxes[:, 2:] - boxes[:, :2]
        rows = np.column_stack([boxes[:, :2] + 1, sizes, scores]).tolist()
        ids = (result.track_ids[tracked] + 1).tolist()
        lines = [
            f"{result.frame.index + 1},{i},{x:.2f},{y:.2f},{w:.2f},{h:.2f},{score:.4f},-1,-1,-1\n"
            for i, (x, y, w, h, score) in zip(ids, rows, strict=True)
        ]
        self._put("".join(lines))
