"""Beside a one-stage pose network: accuracy on COCO, and milliseconds a frame by number of people.

    python benchmarks/yolo_pose.py MODEL ANNOTATIONS IMAGES VIDEO...

MODEL is an Ultralytics pose network as an OpenVINO .xml. ANNOTATIONS and IMAGES are COCO keypoints and
their images. The VIDEOs have few and many people. Both networks get every fifth frame, by
turns. Writes `benchmarks/results/yolo_pose.json`, which `tables.py` puts into the page.
"""

import sys
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.progress import track

from hrpose_rt import PosePipeline, Settings
from hrpose_rt.detection.letterbox import Letterbox
from hrpose_rt.evaluation import coco
from hrpose_rt.evaluation.predict import (
    EVAL_MIN_BOX_SCORE,
    AnnotatedImage,
    OksNms,
    detected,
    pose_results,
)
from hrpose_rt.geometry import nms
from hrpose_rt.hardware import usable_cores
from hrpose_rt.networks import hardware_info, open_networks
from hrpose_rt.paths import write_json
from hrpose_rt.runtimes.ov import openvino_core
from hrpose_rt.skeleton import COCO17
from hrpose_rt.sources.open import open_source

INPUT_HW = (640, 640)
NMS_IOU = 0.7  # Ultralytics' own for pose networks
RUN_SCORE = 0.25  # Ultralytics' own for a run
BINS = {"1-5": (1, 5), "6-10": (6, 10), "11-20": (11, 20), "21-49": (21, 49)}  # people that we find
EVERY, FRAMES = 5, 40  # of a video
OUT = Path(__file__).parent / "results" / "yolo_pose.json"


class YoloPose:
    """An Ultralytics pose network: an image in, boxes, scores and keypoints out."""

    def __init__(self, path: Path) -> None:
        core = openvino_core()
        hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": str(usable_cores())}
        model = core.read_model(path)
        model.reshape([1, 3, *INPUT_HW])
        self._request = core.compile_model(model, "CPU", hints).create_infer_request()
        self._canvas = np.empty((*INPUT_HW, 3), np.uint8)

    def find(self, image: np.ndarray, min_score: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Boxes (N, 4), scores (N,) and keypoints (N, 17, 3) in pixels of the image."""
        letterbox = Letterbox.fit(image.shape[:2], INPUT_HW)
        letterbox.fill(self._canvas, image)
        blob = cv2.dnn.blobFromImage(self._canvas, 1 / 255, swapRB=True)
        self._request.infer({0: blob}, share_inputs=True)
        rows = self._request.get_output_tensor(0).data[0].T  # (anchors, 4 + 1 + 17 * 3)
        rows = rows[rows[:, 4] >= min_score]
        boxes = np.concatenate([rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2], axis=1)
        kept = nms(boxes, rows[:, 4], NMS_IOU)
        keypoints = rows[kept, 5:].reshape(-1, 17, 3).copy()
        keypoints[..., :2] = letterbox.to_frame(keypoints[..., [0, 1, 0, 1]].reshape(-1, 4))[:, :2].reshape(
            -1, 17, 2
        )
        return letterbox.to_frame(boxes[kept]), rows[kept, 4], keypoints


def accuracy(yolo: YoloPose, annotations: Path, folder: Path) -> dict[str, Any]:
    """AP, AP(M) and AP(L) of both on whole images."""
    truth = coco.load_annotations(annotations)
    images = [AnnotatedImage(i, folder / truth.imgs[i]["file_name"]) for i in sorted(truth.imgs)]
    theirs = []
    for image in track(images, "their poses"):
        _, scores, keypoints = yolo.find(image.read(), EVAL_MIN_BOX_SCORE)
        theirs += [
            {"image_id": image.id, "category_id": 1, "keypoints": k.ravel().tolist(), "score": float(s)}
            for k, s in zip(keypoints, scores, strict=True)
        ]
    with open_networks(replace(Settings(), det_score=EVAL_MIN_BOX_SCORE)) as networks:
        boxes, unique = detected(networks.detector), OksNms(COCO17, 0.9)
        ours = pose_results(images, boxes, networks.estimator, unique, lambda: None)
    names = ("AP", "AP(M)", "AP(L)")
    figures: dict[str, Any] = {"images": len(images)}
    for who, results in (("ours", ours), ("theirs", theirs)):
        metrics = dict(zip(coco.METRICS, coco.score(truth, results, "keypoints").metrics, strict=True))
        figures[who] = {name: round(float(metrics[name]), 3) for name in names}
    return figures


def latency(yolo: YoloPose, videos: list[str]) -> dict[str, Any]:
    """Milliseconds and people found of both, by people that we find."""
    rows = defaultdict(list)
    with ExitStack() as stack:
        pipeline = stack.enter_context(PosePipeline())
        for video in videos:
            source = stack.enter_context(open_source(video))
            session = pipeline.begin(source.info)
            for frame in track(source, video, total=EVERY * FRAMES):
                if frame.index >= EVERY * FRAMES:
                    break
                result = session.process(frame)
                if frame.index % EVERY or not frame.index:
                    continue
                begin = time.perf_counter()
                boxes, *_ = yolo.find(frame.image, RUN_SCORE)
                their_ms = 1e3 * (time.perf_counter() - begin)
                rows[len(result)].append((result.times.total, their_ms, len(result), len(boxes)))
    bins = {}
    for name, (low, high) in BINS.items():
        inside = [row for people, of in rows.items() if low <= people <= high for row in of]
        if inside:
            ours, theirs, found, their_found = np.array(inside).T
            bins[name] = {
                "frames": len(inside),
                "ours_ms": round(float(np.median(ours)), 1),
                "theirs_ms": round(float(np.median(theirs)), 1),
                "ours_found": round(float(found.mean()), 1),
                "theirs_found": round(float(their_found.mean()), 1),
            }
    return bins


def main() -> None:
    model, annotations, images, *videos = sys.argv[1:]
    yolo = YoloPose(Path(model))
    report = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **hardware_info().to_dict(),
        "theirs": Path(model).stem,
        "accuracy": accuracy(yolo, Path(annotations), Path(images)),
        "latency": latency(yolo, videos),
    }
    write_json(OUT, report, indent=2)
    print(OUT.read_text())


if __name__ == "__main__":
    main()
