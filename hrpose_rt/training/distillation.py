"""A teacher network's heatmaps for every person, computed once and stored on disk."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from hrpose_rt.errors import BadInput
from hrpose_rt.evaluation.annotations import AnnotatedPeople
from hrpose_rt.geometry import boxes_to_centre_size, crop_affines, input_to_heatmap
from hrpose_rt.nets.hrnet_config import heatmap_size
from hrpose_rt.nets.preprocessing import IMAGENET_MEAN_RGB, IMAGENET_STD_RGB
from hrpose_rt.nets.spec import spec_path
from hrpose_rt.nets.zoo import find_model
from hrpose_rt.paths import atomic_write, sha256
from hrpose_rt.pose.crops import crop_people
from hrpose_rt.pose.heatmaps import merge_flipped
from hrpose_rt.runtimes.open import open_engine
from hrpose_rt.runtimes.ov import openvino_core
from hrpose_rt.training.augment import CropTransform
from hrpose_rt.types import F32, I64, U8

_CHANNELS = 4  # channels per warp: OpenCV's limit
_STEP = 16  # people per batch


@dataclass(frozen=True, slots=True)
class _Teacher:
    """An opened teacher network.

    Attributes:
        infer: Heatmaps (B, K, h, w) of uint8 BGR crops (B, H, W, 3).
        input_hw: Size of its crops.
        udp: Whether it was trained with UDP.
        sha256: Hash of its weights.
    """

    infer: Callable[[U8], F32]
    input_hw: tuple[int, int]
    udp: bool
    sha256: str


class TeacherHeatmaps:
    """A teacher's heatmaps for the plain crops of N people, with flip test, as 8-bit levels in a file.

    Args:
        file: File of the maps, (N, G, h, w, 4) uint8: G groups of four joints.
        people: The people.
        input_hw: Size of the teacher's crops.
        udp: Whether the teacher was trained with UDP.
    """

    def __init__(self, file: Path, people: AnnotatedPeople, input_hw: tuple[int, int], udp: bool) -> None:
        self._maps = np.load(file, mmap_mode="r")
        self._joints = len(people.skeleton.joints)
        self._input_hw, self._udp = input_hw, udp
        self._centres, self._sizes = boxes_to_centre_size(people.boxes, input_hw)

    def warped(self, row: int, transform: CropTransform, input_hw: tuple[int, int], udp: bool) -> F32:
        """The maps (K, h, w) of person `row` in the student's crop: shifted, rotated and mirrored.

        Channels are in the teacher's order; for a mirrored crop left and right are not swapped yet.
        """
        groups = self._maps[row]
        _, th, tw, _ = groups.shape
        h, w = heatmap_size(input_hw)
        to_teacher = crop_affines(
            self._centres[row : row + 1], self._sizes[row : row + 1], self._input_hw, self._udp
        )
        between = _to_maps(transform.to_crop(input_hw, udp), input_hw, (h, w), udp) @ np.linalg.inv(
            _to_maps(to_teacher[0], self._input_hw, (th, tw), self._udp)
        )
        warped = [cv2.warpAffine(np.ascontiguousarray(g), between[:2], (w, h)) for g in groups]
        maps = np.concatenate(warped, axis=2).transpose(2, 0, 1)[: self._joints]
        return np.asarray(maps, np.float32) * np.float32(1 / 255)


def run_teacher(
    teacher: str,
    people: AnnotatedPeople,
    read: Callable[[AnnotatedPeople, int], U8],
    folder: Path,
    threads: int,
    progress: Callable[[int], None],
) -> TeacherHeatmaps:
    """Run the teacher on all people, unless the folder has its heatmaps already.

    Args:
        teacher: A model's name; or the path of a checkpoint, of an engine, or of another project's ONNX
            file that takes normalised RGB (1, 3, H, W) and gives heatmaps for crops of 1.25 boxes.
        people: The people.
        read: Reads the image of a person.
        folder: Where the heatmaps are stored.
        threads: Cores to use.
        progress: Called with the number of people of each batch.
    """
    opened = _open(teacher, threads)
    fingerprint = hashlib.sha256(people.boxes.tobytes() + opened.sha256.encode()).hexdigest()[:16]
    file = folder / f"teacher-{fingerprint}.npy"
    if not file.is_file():
        with atomic_write(file) as partial:
            _run(opened, people, read, partial, progress)
    return TeacherHeatmaps(file, people, opened.input_hw, opened.udp)


def _run(
    teacher: _Teacher,
    people: AnnotatedPeople,
    read: Callable[[AnnotatedPeople, int], U8],
    file: Path,
    progress: Callable[[int], None],
) -> None:
    flip_order = people.skeleton.flip_order()
    joints = len(people.skeleton.joints)
    groups = -(-joints // _CHANNELS)
    centres, sizes = boxes_to_centre_size(people.boxes, teacher.input_hw)
    maps = None
    crops = np.empty((_STEP, *teacher.input_hw, 3), np.uint8)
    for start in range(0, len(people), _STEP):
        rows: I64 = np.arange(start, min(start + _STEP, len(people)))
        for crop, row in zip(crops, rows.tolist(), strict=False):
            crop_people(read(people, row), centres[row, None], sizes[row, None], crop[None], teacher.udp)
        direct = teacher.infer(crops).copy()
        mirrored = teacher.infer(np.ascontiguousarray(crops[:, :, ::-1]))
        if direct.shape[1] != joints:
            raise BadInput(f"the teacher finds {direct.shape[1]} joints, the data have {joints}")
        heatmaps = merge_flipped(direct, mirrored, flip_order, teacher.udp)[: len(rows)]
        h, w = heatmaps.shape[2:]
        if maps is None:
            maps = np.lib.format.open_memmap(
                file, "w+", np.dtype(np.uint8), (len(people), groups, h, w, _CHANNELS)
            )
        levels = np.zeros((len(rows), groups * _CHANNELS, h, w), np.uint8)
        levels[:, :joints] = (heatmaps.clip(0, 1) * 255).round()
        grouped = levels.reshape(len(rows), groups, _CHANNELS, h, w)
        maps[rows] = grouped.transpose(0, 1, 3, 4, 2)
        progress(len(rows))
    assert maps is not None
    maps.flush()


def _open(teacher: str, threads: int) -> _Teacher:
    """Open a teacher by the name of a model or the path of a file."""
    path = Path(teacher)
    if path.suffix == ".onnx" and path.is_file() and not spec_path(path).is_file():
        return _open_external(path, threads)
    runtime, spec = open_engine(find_model(teacher, "pose"), "pose", threads=threads)
    return _Teacher(runtime.infer, spec.input_hw, spec.decode == "udp", spec.weights_sha256)


def _open_external(path: Path, threads: int) -> _Teacher:
    """An ONNX file from another project, run by OpenVINO."""
    core = openvino_core()
    model = core.read_model(path)
    shape = model.inputs[0].partial_shape
    if len(shape) != 4 or not (shape[1].is_static and shape[1].get_length() == 3):
        raise BadInput(f"{path} takes {shape}: a teacher takes normalised RGB (1, 3, height, width)")
    h, w = shape[2].get_length(), shape[3].get_length()
    model.reshape({model.inputs[0]: [_STEP, 3, h, w]})
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    mean = 255 * np.array(IMAGENET_MEAN_RGB, np.float32)
    std = 255 * np.array(IMAGENET_STD_RGB, np.float32)

    def infer(crops: U8) -> F32:
        rgb = (crops[..., ::-1] - mean) / std
        outputs = request.infer([np.ascontiguousarray(rgb.transpose(0, 3, 1, 2), np.float32)])
        return np.asarray(outputs[0])

    return _Teacher(infer, (h, w), udp=False, sha256=sha256(path))


def _to_maps(to_crop: F32, input_hw: tuple[int, int], heatmap_hw: tuple[int, int], udp: bool) -> F32:
    """The map (3, 3) to heatmap pixels, from the map (2, 3) to crop pixels; both from frame pixels."""
    scale = input_to_heatmap(np.ones(2, np.float32), input_hw, heatmap_hw, udp)
    return np.concatenate([to_crop * scale[:, None], [[0, 0, 1]]])
