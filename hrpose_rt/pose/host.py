"""Poses on the host: crops by OpenCV, heatmaps read by NumPy, the network on any runtime."""

from typing import Protocol

import numpy as np

from hrpose_rt.errors import BadInput
from hrpose_rt.geometry import crop_frames, heatmap_to_frame
from hrpose_rt.pose.batching import CPU_BATCHES, plan_batches
from hrpose_rt.pose.crops import crop_people
from hrpose_rt.pose.heatmaps import DECODERS, merge_flipped
from hrpose_rt.runtimes import Runtime
from hrpose_rt.runtimes.spec import EngineSpec
from hrpose_rt.skeleton import find_skeleton
from hrpose_rt.timing import StageClock
from hrpose_rt.types import F32, U8, Poses


class PoseEstimator(Protocol):
    """Finds the joints of people."""

    def estimate(self, image: U8, boxes: F32, clock: StageClock) -> Poses:
        """Poses of the people in `boxes` (N, 4) of `image` (H, W, 3); row i is box i."""

    def close(self) -> None:
        """Release what it holds."""


class HostPoseEstimator:
    """Crops, network and decoding, one chunk of the batch plan after the other.

    Args:
        runtime: The opened network.
        spec: Its sizes and skeleton.
        decode: "quarter", "dark", "udp", or "auto" for the spec's own. Weights trained with UDP are read
            with UDP, and no others: it is about where crops lie, too.
        flip_test: Average with the mirrored crops: twice the cost, a little more precision.
    """

    def __init__(
        self, runtime: Runtime, spec: EngineSpec, decode: str = "auto", flip_test: bool = False
    ) -> None:
        decode = spec.decode if decode == "auto" else decode
        if decode not in DECODERS:
            raise BadInput(f"there is no decoding {decode!r}: choose {', '.join(DECODERS)}")
        if (decode == "udp") != (spec.decode == "udp"):
            raise BadInput(f"{spec.model} is read with {spec.decode}, which --decode {decode} does not fit")
        self._runtime = runtime
        self._spec = spec
        self._udp = spec.decode == "udp"
        self._decode = DECODERS[decode]
        self._skeleton = find_skeleton(spec.skeleton)
        self._flip_order = self._skeleton.flip_order() if flip_test else None
        # One chunk of crops at a time: what the network reads was just written, and memory is constant.
        self._crops = np.zeros((CPU_BATCHES[0], *spec.input_hw, 3), np.uint8)

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of its crops."""
        return self._spec.input_hw

    def warm(self) -> None:
        """Get ready for every size of the batch plan.

        Raises:
            BadInput: The network's heatmaps are not those that its spec promises.
        """
        self._runtime.warm([(n, *self._spec.input_hw, 3) for n in CPU_BATCHES])
        maps = self._runtime.infer(np.zeros((1, *self._spec.input_hw, 3), np.uint8)).shape[1:]
        wanted = (len(self._skeleton.joints), *self._spec.heatmap_hw)
        if maps != wanted:
            raise BadInput(
                f"{self._spec.model} gives heatmaps {maps}, and {self._skeleton.name} in its spec asks for "
                f"{wanted}: give the skeleton it was trained for with --skeleton"
            )

    def estimate(self, image: U8, boxes: F32, clock: StageClock) -> Poses:
        """See `PoseEstimator.estimate`."""
        n, k = len(boxes), len(self._skeleton.joints)
        keypoints, scores = np.zeros((n, k, 2), np.float32), np.zeros((n, k), np.float32)
        with clock.stage("crop"):
            centres, sizes = crop_frames(boxes, self._spec.input_hw)
        for rows in plan_batches(n):
            with clock.stage("crop"):
                out = self._crops[: rows.stop - rows.start]
                crops = crop_people(image, centres[rows], sizes[rows], out, self._udp)
            heatmaps = self._infer(crops, clock)
            with clock.stage("heatmap"):
                points, scores[rows] = self._decode(heatmaps)
                keypoints[rows] = heatmap_to_frame(
                    points, centres[rows], sizes[rows], self._spec.heatmap_hw, self._udp
                )
        return Poses.estimated(keypoints, scores)

    def _infer(self, crops: U8, clock: StageClock) -> F32:
        with clock.stage("pose"):
            heatmaps = self._runtime.infer(crops)
            if self._flip_order is None:
                return heatmaps
            heatmaps = heatmaps.copy()  # the next call may use its memory again
            mirrored = self._runtime.infer(np.ascontiguousarray(crops[:, :, ::-1]))
        with clock.stage("heatmap"):
            return merge_flipped(heatmaps, mirrored, self._flip_order, self._udp)

    def close(self) -> None:
        """Close the runtime."""
        self._runtime.close()

    def __enter__(self) -> "HostPoseEstimator":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
