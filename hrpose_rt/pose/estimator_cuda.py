"""Poses without leaving the device: one upload of the frame, one small download of keypoints.

All operations are PyTorch's and run on any device; on a CPU they are compared with `estimator.py`.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from hrpose_rt.errors import BadInput
from hrpose_rt.geometry import boxes_to_centre_size, crop_affines, heatmap_to_frame
from hrpose_rt.nets.spec import EngineSpec, check_finite
from hrpose_rt.pose.ankles import MIN_FOOT_GAP_PX, MIN_PEAK_RATIO, SAME_FOOT_PX, Ankles
from hrpose_rt.pose.batching import BatchPlan
from hrpose_rt.pose.decoding import check_shape
from hrpose_rt.pose.heatmaps import DERIVATIVE_RADIUS, MIN_LOG_INPUT, blur_matrix, dark_kernel
from hrpose_rt.runtimes.base import DeviceRuntime
from hrpose_rt.runtimes.cuda import report_gpu_errors
from hrpose_rt.runtimes.cuda_frames import FrameUploader
from hrpose_rt.skeleton import find_skeleton
from hrpose_rt.timing import StageClock
from hrpose_rt.types import F32, U8, Poses

GPU_DECODERS = ("quarter", "dark")


class CudaPoseEstimator:
    """See `HostPoseEstimator`; crops, network and decoding run on one device.

    Args:
        runtime: The opened network.
        spec: Its spec.
        uploader: Copies frames to the network's device.
        decode: "quarter", "dark", or "auto" for the spec's own; "udp" is available on the host only.
        flip_test: Average with the mirrored crops.

    Attributes:
        plan: How a crowd is cut into batches.
    """

    def __init__(
        self,
        runtime: DeviceRuntime,
        spec: EngineSpec,
        uploader: FrameUploader,
        decode: str = "auto",
        flip_test: bool = False,
    ) -> None:
        self._decode = spec.decode if decode == "auto" else decode
        if self._decode not in GPU_DECODERS or spec.decode == "udp":
            raise BadInput(
                f"`decode` {self._decode} is not there on a GPU: choose {' or '.join(GPU_DECODERS)}"
            )
        self._runtime, self._spec, self._uploader = runtime, spec, uploader
        self.plan = BatchPlan(runtime.batches, pads=True)
        self._skeleton = find_skeleton(spec.skeleton)
        self._ankles = Ankles.of(self._skeleton) if spec.part_ankles else None
        self._flip_order = self._skeleton.flip_order() if flip_test else None

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of its crops."""
        return self._spec.input_hw

    def warm_up(self) -> None:
        """Crop, run and decode every batch size of the runtime, so that no frame is slower than the others.

        Raises:
            BadInput: The network's heatmaps differ from its spec.
        """
        h, w = self._spec.input_hw
        black = torch.zeros((1, h, w, 3), dtype=torch.uint8, device=self._uploader.device)
        with report_gpu_errors(self._uploader.device), torch.inference_mode():
            maps = tuple(self._runtime.infer_device(black).shape[1:])
        check_shape(maps, self._spec)
        for n in self._runtime.batches:
            boxes = np.array([[0, 0, w, h]] * n, np.float32)
            self.estimate(np.zeros((h, w, 3), np.uint8), boxes, StageClock())

    def estimate(self, image: U8, boxes: F32, clock: StageClock) -> Poses:
        """See `PoseEstimator.estimate`."""
        return self.estimate_all([image], [boxes], clock)[0]

    def estimate_all(self, images: Sequence[U8], boxes: Sequence[F32], clock: StageClock) -> list[Poses]:
        """See `PoseEstimator.estimate_all`."""
        try:
            with report_gpu_errors(self._uploader.device), torch.inference_mode():
                return self._estimate_all(images, boxes, clock)
        finally:
            for image in images:
                self._uploader.forget(image)

    def _estimate_all(self, images: Sequence[U8], boxes: Sequence[F32], clock: StageClock) -> list[Poses]:
        ends = np.cumsum([len(of_image) for of_image in boxes])
        n, k = int(ends[-1]), len(self._skeleton.joints)
        keypoints, scores = np.zeros((n, k, 2), np.float32), np.zeros((n, k), np.float32)
        with clock.stage("crop"):
            centres, sizes = boxes_to_centre_size(np.concatenate(boxes), self._spec.input_hw)
            maps = crop_affines(centres, sizes, self._spec.input_hw)
        for rows in self.plan.split(n):
            begin, end = rows.start, rows.stop
            with clock.stage("crop"):
                parts = []
                for image, first, last in zip(images, [0, *ends], ends, strict=False):
                    some = slice(max(first, begin), min(last, end))
                    if some.start < some.stop:
                        frame = self._uploader.frame(image)
                        parts.append(crop_on_gpu(frame, maps[some], self._spec.input_hw))
                crops = parts[0] if len(parts) == 1 else torch.cat(parts)
                self._uploader.wait()
            points, scores[rows] = self._poses(crops, clock)
            check_finite(scores[rows], self._spec.model)
            keypoints[rows] = heatmap_to_frame(points, centres[rows], sizes[rows], self._spec.heatmap_hw)
        people = zip(np.split(keypoints, ends[:-1]), np.split(scores, ends[:-1]), strict=True)
        return [Poses.estimated(*of_image) for of_image in people]

    def _poses(self, crops: Tensor, clock: StageClock) -> tuple[F32, F32]:
        """Points (N, K, 2) in heatmap pixels and scores (N, K)."""
        with clock.stage("pose"):
            heatmaps = self._runtime.infer_device(crops)
            if self._flip_order is not None:
                heatmaps = heatmaps.clone()  # the next call may reuse its memory
                mirrored = self._runtime.infer_device(crops.flip(2))
                back = mirrored[:, self._flip_order].flip(3)
                back = torch.cat(
                    [back[..., :1], back[..., :-1]], dim=3
                )  # as the original does for its classic weights
                heatmaps = (heatmaps + back) * 0.5
            self._uploader.wait()
        with clock.stage("heatmap"):
            decoded = decode(heatmaps.float(), self._decode, self._ankles).cpu().numpy()
        return decoded[..., :2], decoded[..., 2]

    def close(self) -> None:
        """Close the runtime."""
        self._runtime.close()

    def __enter__(self) -> "CudaPoseEstimator":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def crop_on_gpu(frame: Tensor, maps: F32, input_hw: tuple[int, int]) -> Tensor:
    """Crops (N, H, W, 3) uint8 of a frame (1, 3, H, W), bilinear, 0 where they extend beyond it.

    Args:
        frame: From `FrameUploader`.
        maps: (N, 2, 3) from frame to crop pixels; no rotation.
        input_hw: Height and width of the crops.
    """
    (h, w), (frame_h, frame_w) = input_hw, frame.shape[2:]
    affines = torch.from_numpy(maps).to(frame.device)
    scale, shift = torch.stack([affines[:, 0, 0], affines[:, 1, 1]], 1), affines[:, :, 2]
    x = (torch.arange(w, device=frame.device)[None] - shift[:, :1]) / scale[:, :1]  # (N, W) frame pixels
    y = (torch.arange(h, device=frame.device)[None] - shift[:, 1:]) / scale[:, 1:]
    grid = torch.stack(
        [
            (2 * x / max(frame_w - 1, 1) - 1)[:, None, :].expand(-1, h, -1),
            (2 * y / max(frame_h - 1, 1) - 1)[:, :, None].expand(-1, -1, w),
        ],
        dim=3,
    )
    # All crops as one tall image: with one image per crop, cuDNN would copy the frame for each of them.
    tall = grid.reshape(1, -1, w, 2)  # (1, N * H, W, xy)
    crops = torch.nn.functional.grid_sample(frame, tall, "bilinear", "zeros", align_corners=True)
    pixels = crops.round_().clamp_(0, 255).to(torch.uint8)  # (1, 3, N * H, W)
    return pixels[0].permute(1, 2, 0).reshape(-1, h, w, 3).contiguous()


def decode(heatmaps: Tensor, how: str, ankles: Ankles | None = None) -> Tensor:
    """Points in heatmap pixels and scores, (N, K, 3), of heatmaps (N, K, H, W); see `heatmaps.py`."""
    n, k, h, w = heatmaps.shape
    scores, peak = heatmaps.reshape(n, k, h * w).max(dim=2)
    if ankles:
        peak = _parted(heatmaps.reshape(n, k, h * w), peak, w, ankles)
        scores = heatmaps.reshape(n, k, h * w).gather(2, peak[..., None])[..., 0]
    x, y = peak % w, torch.div(peak, w, rounding_mode="floor")
    shift = _quarter(heatmaps, x, y) if how == "quarter" else _dark(heatmaps, x, y)
    points = (torch.stack([x, y], 2) + shift) * (scores > 0)[..., None]
    return torch.cat([points, scores[..., None]], dim=2)


def _parted(flat: Tensor, peak: Tensor, w: int, of: Ankles) -> Tensor:
    """`Ankles.part` for maps (N, K, H * W): the peaks (N, K), corrected."""
    (a, b), (knee_a, knee_b) = of.ankles, of.knees

    def gap(one: Tensor, other: Tensor) -> Tensor:
        rows = torch.div(one, w, rounding_mode="floor") - torch.div(other, w, rounding_mode="floor")
        return torch.hypot((one % w - other % w).float(), rows.float())

    both = flat[:, a] + flat[:, b]
    top, first = both.max(dim=1)
    everywhere = torch.arange(flat.shape[2], device=flat.device)
    far = gap(everywhere[None], first[:, None]) > MIN_FOOT_GAP_PX
    next_top, second = both.where(far, torch.full_like(both, -torch.inf)).max(dim=1)
    same_foot = (
        (gap(peak[:, a], peak[:, b]) <= SAME_FOOT_PX) & (top > 0) & (next_top >= MIN_PEAK_RATIO * top)
    )
    straight = gap(first, peak[:, knee_a]) + gap(second, peak[:, knee_b])
    crossed = gap(second, peak[:, knee_a]) + gap(first, peak[:, knee_b])
    own = straight <= crossed
    peak = peak.clone()
    peak[:, a] = torch.where(same_foot, torch.where(own, first, second), peak[:, a])
    peak[:, b] = torch.where(same_foot, torch.where(own, second, first), peak[:, b])
    return peak


def _gather(heatmaps: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Values at positions (N, K, ...), 0 outside."""
    n, k, h, w = heatmaps.shape
    inside = (x >= 0) & (x < w) & (y >= 0) & (y < h)
    index = (y.clamp(0, h - 1) * w + x.clamp(0, w - 1)).reshape(n, k, -1)
    return heatmaps.reshape(n, k, h * w).gather(2, index).reshape(x.shape) * inside


def _quarter(heatmaps: Tensor, x: Tensor, y: Tensor) -> Tensor:
    h, w = heatmaps.shape[2:]
    inside = (x > 1) & (x < w - 1) & (y > 1) & (y < h - 1)
    dx = _gather(heatmaps, x + 1, y) - _gather(heatmaps, x - 1, y)
    dy = _gather(heatmaps, x, y + 1) - _gather(heatmaps, x, y - 1)
    return 0.25 * torch.stack([dx, dy], 2).sign() * inside[..., None]


def _dark(heatmaps: Tensor, x: Tensor, y: Tensor) -> Tensor:
    h, w = heatmaps.shape[2:]
    kernel = dark_kernel((h, w))
    border = kernel // 2
    reach = border + DERIVATIVE_RADIUS
    around = torch.arange(-reach, reach + 1, device=heatmaps.device)
    side = len(around)
    cols = (x[..., None, None] + around[None, :]).expand(-1, -1, side, -1)
    rows = (y[..., None, None] + around[:, None]).expand(-1, -1, -1, side)
    blur, blur_h, blur_w = (_blur(n, kernel, heatmaps.device) for n in (2 * DERIVATIVE_RADIUS + 1, h, w))
    blurred = blur @ _gather(heatmaps, cols, rows) @ blur.T  # (N, K, 5, 5)
    blurred_h = blur_h[:, border:-border] @ heatmaps @ blur_w[:, border:-border].T
    top, peak = blurred_h.amax(dim=(2, 3)), heatmaps.amax(dim=(2, 3))
    faint = (blurred < MIN_LOG_INPUT).any(dim=3).any(dim=2) & (top > 0)
    lost = torch.where(faint, peak / top.where(faint, torch.ones_like(top)), torch.ones_like(top))
    log = (blurred * lost[..., None, None]).clamp_min(MIN_LOG_INPUT).log()
    c = DERIVATIVE_RADIUS
    gx = (log[..., c, c + 1] - log[..., c, c - 1]) / 2
    gy = (log[..., c + 1, c] - log[..., c - 1, c]) / 2
    hxx = (log[..., c, c + 2] - 2 * log[..., c, c] + log[..., c, c - 2]) / 4
    hyy = (log[..., c + 2, c] - 2 * log[..., c, c] + log[..., c - 2, c]) / 4
    crossed = log[..., c + 1, c + 1] - log[..., c - 1, c + 1]
    hxy = (crossed - log[..., c + 1, c - 1] + log[..., c - 1, c - 1]) / 4
    det = hxx * hyy - hxy * hxy
    usable = (x > 1) & (x < w - 2) & (y > 1) & (y < h - 2) & (det != 0)
    step = torch.stack([hyy * gx - hxy * gy, hxx * gy - hxy * gx], 2)
    step = step / torch.where(usable, det, torch.ones_like(det))[..., None]
    return -step * usable[..., None]


@lru_cache
def _blur(size: int, kernel: int, device: torch.device) -> Tensor:
    """`blur_matrix`, copied to the device once."""
    return torch.from_numpy(blur_matrix(size, kernel)).to(device)
