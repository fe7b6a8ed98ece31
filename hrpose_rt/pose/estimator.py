"""Poses on the host: crops by OpenCV, decoding by NumPy, the network in any runtime."""

from collections.abc import Sequence

import numpy as np

from hrpose_rt.geometry import boxes_to_centre_size, heatmap_to_frame
from hrpose_rt.nets.spec import EngineSpec, check_finite
from hrpose_rt.pose.batching import BatchPlan
from hrpose_rt.pose.crops import crop_people
from hrpose_rt.pose.decoding import check_shape, keypoint_decoder
from hrpose_rt.runtimes.base import GPU_BATCHES, Runtime
from hrpose_rt.timing import StageClock
from hrpose_rt.types import F32, U8, Poses


class HostPoseEstimator:
    """Crops, network and decoding, one slice of the batch plan after the other.

    Args:
        runtime: The opened network.
        spec: Its spec.
        decode: "quarter", "dark", "udp", or "auto" for the spec's own. Weights trained with UDP need "udp",
            and other weights cannot use it: UDP also changes the crops. The same holds for SimCC.
        flip_test: Average with the mirrored crops: twice the cost, slightly more accurate.

    Attributes:
        plan: How a crowd is cut into batches.
    """

    def __init__(
        self, runtime: Runtime, spec: EngineSpec, decode: str = "auto", flip_test: bool = False
    ) -> None:
        self._runtime, self._spec, self._flip_test = runtime, spec, flip_test
        self._udp = spec.decode == "udp"
        self._decoder = keypoint_decoder(spec, decode)
        self._sends_padding = runtime.device.startswith("cuda")
        # A server takes batches of every size, and the fewest calls are the fastest.
        fewest_calls = self._sends_padding or runtime.device == "server"
        plan = BatchPlan(GPU_BATCHES, pads=True) if fewest_calls else BatchPlan()
        self.plan = plan.up_to(spec.max_batch)
        # One slice of crops at a time: the network's input is still in the cache, and memory is constant.
        self._crops = np.zeros((self.plan.sizes[-1], *spec.input_hw, 3), np.uint8)

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of its crops."""
        return self._spec.input_hw

    def warm_up(self) -> None:
        """Prepare for every size of the batch plan.

        Raises:
            BadInput: The network's output differs from its spec.
        """
        self._runtime.warm_up([(n, *self._spec.input_hw, 3) for n in self.plan.sizes])
        shape = self._runtime.infer(np.zeros((1, *self._spec.input_hw, 3), np.uint8)).shape[1:]
        check_shape(shape, self._spec)

    def estimate(self, image: U8, boxes: F32, clock: StageClock) -> Poses:
        """See `PoseEstimator.estimate`."""
        return self.estimate_all([image], [boxes], clock)[0]

    def estimate_all(self, images: Sequence[U8], boxes: Sequence[F32], clock: StageClock) -> list[Poses]:
        """See `PoseEstimator.estimate_all`."""
        ends = np.cumsum([len(of_image) for of_image in boxes])
        n, k = int(ends[-1]), self._decoder.output_shape[0]
        keypoints, scores = np.zeros((n, k, 2), np.float32), np.zeros((n, k), np.float32)
        with clock.stage("crop"):
            centres, sizes = boxes_to_centre_size(np.concatenate(boxes), self._spec.input_hw)
        for rows in self.plan.split(n):
            with clock.stage("crop"):
                crops = self._crops[: rows.stop - rows.start]
                for image, start, end in zip(images, [0, *ends], ends, strict=False):
                    start, end = max(start, rows.start), min(end, rows.stop)
                    if start < end:
                        out = crops[start - rows.start : end - rows.start]
                        crop_people(image, centres[start:end], sizes[start:end], out, self._udp)
            sent = self.plan.size_for(len(crops)) if self._sends_padding else len(crops)
            output = self._infer(self._crops[:sent], clock)[: len(crops)]
            with clock.stage("heatmap"):
                with np.errstate(all="ignore"):  # the next line rejects overflows
                    points, scores[rows] = self._decoder.decode(output)
                check_finite(scores[rows], self._spec.model)
                keypoints[rows] = heatmap_to_frame(
                    points, centres[rows], sizes[rows], self._decoder.grid_hw, self._udp
                )
        people = zip(np.split(keypoints, ends[:-1]), np.split(scores, ends[:-1]), strict=True)
        return [Poses.estimated(*of_image) for of_image in people]

    def _infer(self, crops: U8, clock: StageClock) -> F32:
        with clock.stage("pose"):
            output = self._runtime.infer(crops)
            if not self._flip_test:
                return output
            output = output.copy()  # the next call may reuse its memory
            mirrored = self._runtime.infer(np.ascontiguousarray(crops[:, :, ::-1]))
        with clock.stage("heatmap"):
            return self._decoder.merge_flipped(output, mirrored)

    def close(self) -> None:
        """Close the runtime."""
        self._runtime.close()

    def __enter__(self) -> "HostPoseEstimator":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
