"""Poses on the host: crops by OpenCV, decoding by NumPy, the network in any runtime."""

from collections.abc import Sequence

import numpy as np

from hrpose_rt.errors import BadInput
from hrpose_rt.geometry import boxes_to_centre_size, heatmap_to_frame
from hrpose_rt.nets.spec import EngineSpec, check_finite
from hrpose_rt.pose.ankles import Ankles
from hrpose_rt.pose.batching import CPU_BATCHES, plan_batches
from hrpose_rt.pose.crops import crop_people
from hrpose_rt.pose.heatmaps import HEATMAP_DECODERS, merge_flipped
from hrpose_rt.runtimes.base import Runtime
from hrpose_rt.skeleton import Skeleton, find_skeleton
from hrpose_rt.timing import StageClock
from hrpose_rt.types import F32, U8, Poses


def check_heatmaps(maps: tuple[int, ...], spec: EngineSpec, skeleton: Skeleton) -> None:
    """Raise BadInput if heatmaps of this shape (K, H, W) differ from the spec."""
    expected = (len(skeleton.joints), *spec.heatmap_hw)
    if maps != expected:
        raise BadInput(
            f"{spec.model} gives heatmaps {maps}, and {skeleton.name} in its spec asks for "
            f"{expected}: give the skeleton it was trained for with `skeleton`"
        )


class HostPoseEstimator:
    """Crops, network and decoding, one slice of the batch plan after the other.

    Args:
        runtime: The opened network.
        spec: Its spec.
        decode: "quarter", "dark", "udp", or "auto" for the spec's own. Weights trained with UDP need "udp",
            and other weights cannot use it: UDP also changes the crops.
        flip_test: Average with the mirrored crops: twice the cost, slightly more accurate.
    """

    def __init__(
        self, runtime: Runtime, spec: EngineSpec, decode: str = "auto", flip_test: bool = False
    ) -> None:
        decode = spec.decode if decode == "auto" else decode
        if (decode == "udp") != (spec.decode == "udp"):
            raise BadInput(f"{spec.model} is read with {spec.decode}, which `decode` {decode} does not fit")
        self._runtime = runtime
        self._spec = spec
        self._udp = spec.decode == "udp"
        self._decode = HEATMAP_DECODERS[decode]
        self._skeleton = find_skeleton(spec.skeleton)
        self._ankles = Ankles.of(self._skeleton) if spec.part_ankles else None
        self._flip_order = self._skeleton.flip_order() if flip_test else None
        # One slice of crops at a time: the network's input is still in the cache, and memory is constant.
        self._crops = np.zeros((CPU_BATCHES[0], *spec.input_hw, 3), np.uint8)

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of its crops."""
        return self._spec.input_hw

    def warm_up(self) -> None:
        """Prepare for every size of the batch plan.

        Raises:
            BadInput: The network's heatmaps differ from its spec.
        """
        self._runtime.warm_up([(n, *self._spec.input_hw, 3) for n in CPU_BATCHES])
        maps = self._runtime.infer(np.zeros((1, *self._spec.input_hw, 3), np.uint8)).shape[1:]
        check_heatmaps(maps, self._spec, self._skeleton)

    def estimate(self, image: U8, boxes: F32, clock: StageClock) -> Poses:
        """See `PoseEstimator.estimate`."""
        return self.estimate_all([image], [boxes], clock)[0]

    def estimate_all(self, images: Sequence[U8], boxes: Sequence[F32], clock: StageClock) -> list[Poses]:
        """See `PoseEstimator.estimate_all`."""
        ends = np.cumsum([len(of_image) for of_image in boxes])
        n, k = int(ends[-1]), len(self._skeleton.joints)
        keypoints, scores = np.zeros((n, k, 2), np.float32), np.zeros((n, k), np.float32)
        with clock.stage("crop"):
            centres, sizes = boxes_to_centre_size(np.concatenate(boxes), self._spec.input_hw)
        for rows in plan_batches(n):
            with clock.stage("crop"):
                crops = self._crops[: rows.stop - rows.start]
                for image, start, end in zip(images, [0, *ends], ends, strict=False):
                    start, end = max(start, rows.start), min(end, rows.stop)
                    if start < end:
                        out = crops[start - rows.start : end - rows.start]
                        crop_people(image, centres[start:end], sizes[start:end], out, self._udp)
            heatmaps = self._infer(crops, clock)
            with clock.stage("heatmap"):
                with np.errstate(all="ignore"):  # the next line rejects overflows
                    points, scores[rows] = self._decode(heatmaps, self._ankles)
                check_finite(scores[rows], self._spec.model)
                keypoints[rows] = heatmap_to_frame(
                    points, centres[rows], sizes[rows], self._spec.heatmap_hw, self._udp
                )
        people = zip(np.split(keypoints, ends[:-1]), np.split(scores, ends[:-1]), strict=True)
        return [Poses.estimated(*of_image) for of_image in people]

    def _infer(self, crops: U8, clock: StageClock) -> F32:
        with clock.stage("pose"):
            heatmaps = self._runtime.infer(crops)
            if self._flip_order is None:
                return heatmaps
            heatmaps = heatmaps.copy()  # the next call may reuse its memory
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
