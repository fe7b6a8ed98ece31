"""Run the networks over annotated images, as the original's evaluation does."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hrpose_rt.detection.base import Detector
from hrpose_rt.errors import BadInput
from hrpose_rt.evaluation.annotation_files import check_size
from hrpose_rt.evaluation.annotations import clean_boxes
from hrpose_rt.evaluation.coco import Result
from hrpose_rt.evaluation.coco_annotations import is_number
from hrpose_rt.geometry import boxes_to_centre_size, oks_nms, xywh_to_xyxy, xyxy_to_xywh
from hrpose_rt.paths import check_utf8
from hrpose_rt.pose.base import PoseEstimator
from hrpose_rt.result import person_score
from hrpose_rt.skeleton import Skeleton
from hrpose_rt.timing import StageClock
from hrpose_rt.types import F32, I64, U8, Detections, Poses

COCO_DIGITS = 3  # decimals of pixels and scores in results files; a thousandth is too small to matter
EVAL_MIN_BOX_SCORE = 0.01  # low, because an average precision needs all boxes


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """An image to evaluate on.

    Attributes:
        id: Its id in the annotations.
        file: Its path.
        size_wh: Width and height in the annotations; None if they give none.
    """

    id: int | str
    file: Path
    size_wh: tuple[Any, Any] = (None, None)

    def read(self) -> U8:
        """The image (H, W, 3) BGR as stored: annotations ignore EXIF rotation."""
        check_utf8(self.file)
        image = cv2.imread(str(self.file), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if image is None:
            what = "cannot be read, replace it" if self.file.is_file() else "is missing: check `images`"
            raise BadInput(f"{self.file} (image {self.id}) {what}")
        if all(map(is_number, self.size_wh)):
            check_size(self.file, self.size_wh, (image.shape[1], image.shape[0]))
        return np.asarray(image, np.uint8)


Boxes = Callable[[AnnotatedImage, U8], Detections]  # the people of an image whose poses are estimated


def detected(detector: Detector) -> Boxes:
    """The people that the detector finds."""
    return lambda _, photo: detector.detect(photo, StageClock())


def listed(results: Iterable[Result]) -> Boxes:
    """The people of a detections file in COCO's results format; no score threshold applies."""
    by_image: dict[int | str, list[Result]] = {}
    for result in results:
        by_image.setdefault(result["image_id"], []).append(result)

    def boxes(image: AnnotatedImage, _: U8) -> Detections:
        of_image = by_image.get(image.id, [])
        xywh = np.array([r["bbox"] for r in of_image], np.float32).reshape(-1, 4)
        xyxy = xywh_to_xyxy(xywh)
        has_area = (xywh[:, 2:] > 0).all(axis=1)
        return Detections.found(
            xyxy[has_area], np.array([r["score"] for r in of_image], np.float32)[has_area]
        )

    return boxes


def annotated(annotations: Any) -> Boxes:
    """The annotated people with labelled joints, as in the original."""

    def boxes(image: AnnotatedImage, photo: U8) -> Detections:
        persons = annotations.loadAnns(annotations.getAnnIds(image.id, iscrowd=False))
        xywh = np.array([p["bbox"] for p in persons if p["num_keypoints"]], np.float32).reshape(-1, 4)
        h, w = photo.shape[:2]
        xyxy = clean_boxes(xywh, np.full((len(xywh), 2), (w, h), np.float32))
        xyxy = xyxy[(xyxy[:, 2:] > xyxy[:, :2]).all(axis=1)]
        return Detections.found(xyxy, np.ones(len(xyxy), np.float32))

    return boxes


@dataclass(frozen=True, slots=True)
class OksNms:
    """OKS-NMS of the poses of an image.

    Attributes:
        skeleton: The joints of the poses; it has sigmas.
        threshold: Of two poses with a higher OKS only the better stays; 1 keeps all.
    """

    skeleton: Skeleton
    threshold: float

    def keep(self, keypoints: F32, scores: F32, areas: F32) -> I64:
        """Rows of the keypoints (N, K, 2) that stay, by person scores (N,) and areas (N,)."""
        sigmas = np.array(self.skeleton.sigmas, np.float32)
        return oks_nms(keypoints, scores, areas, sigmas, self.threshold)


def pose_results(
    images: Iterable[AnnotatedImage],
    boxes: Boxes,
    estimator: PoseEstimator,
    nms: OksNms,
    progress: Callable[[], None],
    category: int = 1,
) -> list[Result]:
    """The poses of all people, as in a COCO results file.

    Args:
        images: The images.
        boxes: Gives the people of each image.
        estimator: Estimates the poses.
        nms: Removes duplicate poses; its OKS uses the area of a person's crop.
        progress: Called after every image.
        category: Id of the person category in the annotations.
    """
    results = []
    for image in images:
        photo = image.read()
        people = boxes(image, photo)
        poses = estimator.estimate(photo, people.boxes, StageClock())
        scores = person_score(people.scores, poses.scores)
        sizes = boxes_to_centre_size(people.boxes, estimator.input_hw)[1]
        areas = sizes.prod(axis=1)
        kept = nms.keep(poses.keypoints, scores, areas)
        results += [_result(image, category, poses, scores, i) for i in kept.tolist()]
        progress()
    return results


def box_results(
    images: Iterable[AnnotatedImage], boxes: Boxes, progress: Callable[[], None], category: int = 1
) -> list[Result]:
    """The boxes of all people, as in a COCO results file."""
    results = []
    for image in images:
        people = boxes(image, image.read())
        xywh = xyxy_to_xywh(people.boxes)
        for box, score in zip(xywh.tolist(), people.scores.tolist(), strict=True):
            results.append({"image_id": image.id, "category_id": category, "bbox": box, "score": score})
        progress()
    return results


def _result(image: AnnotatedImage, category: int, poses: Poses, scores: F32, i: int) -> Result:
    keypoints = np.column_stack([poses.keypoints[i], poses.scores[i]]).astype(np.float64)
    return {
        "image_id": image.id,
        "category_id": category,
        "keypoints": keypoints.round(COCO_DIGITS).ravel().tolist(),
        "score": round(float(scores[i]), 6),
    }
