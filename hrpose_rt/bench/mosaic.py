"""A mosaic of one video, repeated in tiles: real motion of a hundred people or more."""

import time
from collections.abc import Iterator

import cv2
import numpy as np

from hrpose_rt.bench.scenes import Truth
from hrpose_rt.config import Clip
from hrpose_rt.detection.base import Detector
from hrpose_rt.errors import BadInput
from hrpose_rt.sources.open import open_source
from hrpose_rt.timing import StageClock
from hrpose_rt.types import F32, U8, Frame, SourceInfo

MAX_FRAMES = 240  # most frames read from the video; each is kept at the size of a tile


class Mosaic:
    """`side` by `side` tiles of one video, each starting at a later frame, played forwards and backwards.

    Args:
        video: The video.
        side: Tiles per row and per column.
        size_wh: Width and height of a mosaic frame.
        frames: Number of frames the source yields.
        detector: Finds the people in each video frame at full size; its boxes serve as ground truth. None
            for no ground truth.
    """

    def __init__(
        self,
        video: str,
        side: int = 2,
        size_wh: tuple[int, int] = (1280, 720),
        frames: int = 300,
        detector: Detector | None = None,
    ) -> None:
        w, h = size_wh
        self._tile_wh, self._side = (w // side, h // side), side
        self._tiles: list[U8] = []
        self._boxes: list[F32] = []
        with open_source(video, Clip(max_frames=MAX_FRAMES)) as source:
            info = source.info
            scale = np.array(self._tile_wh * 2, np.float32) / ((info.width, info.height) * 2)
            for frame in source:
                tile = cv2.resize(frame.image, self._tile_wh, interpolation=cv2.INTER_AREA)
                self._tiles.append(np.asarray(tile, np.uint8))
                if detector:
                    boxes = detector.detect(frame.image, StageClock()).boxes
                    self._boxes.append(np.asarray(boxes * scale, np.float32))
        if not self._tiles:
            raise BadInput(f"{video} has no frames: give another `source`")
        name = f"{side}x{side} of {info.stem} in {w}x{h}"
        self.info = SourceInfo(
            name, f"mosaic-{info.stem}", *self._canvas_wh, info.fps, frames, is_video=True, is_live=False
        )
        self.people = round(side**2 * float(np.mean([len(b) for b in self._boxes]))) if detector else 0

    @property
    def _canvas_wh(self) -> tuple[int, int]:
        return self._tile_wh[0] * self._side, self._tile_wh[1] * self._side

    def __iter__(self) -> Iterator[Frame]:
        for i in range(self.info.frames or 0):
            yield self.frame_and_truth(i)[0]

    def __enter__(self) -> "Mosaic":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def frame_and_truth(self, index: int) -> tuple[Frame, Truth | None]:
        """Frame `index`, and the boxes the detector found in its tiles; None without a detector."""
        (w, h), side = self._tile_wh, self._side
        canvas = np.empty((h * side, w * side, 3), np.uint8)
        boxes = []
        for tile in range(side**2):
            row, column = divmod(tile, side)
            position = self._to_and_fro(index + tile * len(self._tiles) // side**2)
            canvas[row * h : (row + 1) * h, column * w : (column + 1) * w] = self._tiles[position]
            if self._boxes:
                boxes.append(self._boxes[position] + np.array([column * w, row * h] * 2, np.float32))
        frame = Frame(index, canvas, index / self.info.fps, time.perf_counter())
        if not boxes:
            return frame, None
        all_boxes = np.concatenate(boxes)
        n = len(all_boxes)
        return frame, Truth(all_boxes, np.ones(n, np.float32), np.zeros(n, np.bool_))

    def _to_and_fro(self, index: int) -> int:
        last = len(self._tiles) - 1
        along = index % max(2 * last, 1)
        return along if along <= last else 2 * last - along
