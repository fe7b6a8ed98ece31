"""Embedded checkpoints -> engines (ONNX in fp32 and int8, and their specs).

    python -m hrpose_rt.training.release FOOTAGE ANNOTATIONS IMAGES

FOOTAGE is a video or a folder for int8 calibration. ANNOTATIONS and IMAGES are COCO keypoints and their
images, on which the loss of AP by int8 is measured, with OpenVINO. Without arguments only the fp32 engines
are made.
"""

import sys
from dataclasses import replace
from pathlib import Path

from hrpose_rt.detection.yolo import DetectionFilter, YoloDetector
from hrpose_rt.errors import RunBroken
from hrpose_rt.evaluation import coco
from hrpose_rt.evaluation.predict import (
    EVAL_MIN_BOX_SCORE,
    AnnotatedImage,
    OksNms,
    annotated,
    box_results,
    detected,
    pose_results,
)
from hrpose_rt.export import verify
from hrpose_rt.export.half import layers_by_precision
from hrpose_rt.export.onnx_file import save_onnx
from hrpose_rt.export.torch_onnx import export_onnx
from hrpose_rt.hardware import usable_cores
from hrpose_rt.nets.checkpoints import load_hrnet
from hrpose_rt.nets.hrnet_config import heatmap_size
from hrpose_rt.nets.preprocessing import hrnet_on_crops
from hrpose_rt.nets.spec import EngineSpec, engine_sha256, spec_path
from hrpose_rt.nets.yolo import load_yolo
from hrpose_rt.nets.zoo import DEFAULT_DETECTOR, DEFAULT_POSE
from hrpose_rt.paths import models_folder, sha256
from hrpose_rt.pose.estimator import HostPoseEstimator
from hrpose_rt.runtimes.ort import OnnxRuntime
from hrpose_rt.runtimes.ov import OpenVinoRuntime
from hrpose_rt.skeleton import COCO17

POSE_HW = (256, 192)
AP_LOSS = 0.01  # largest loss of AP by int8
# Square, 16:9 and 4:3, landscape and portrait: 16:9 frames cost the detector 60% of the square.
DETECTOR_HWS = ((640, 640), (384, 640), (640, 384), (480, 640), (640, 480))


def build_pose(name: str) -> EngineSpec:
    """Export the pose network `name` in fp32."""
    checkpoint, engine = models_folder() / f"{name}.pth", models_folder() / f"{name}.onnx"
    h, w = POSE_HW
    spec = EngineSpec(
        model=name,
        task="pose",
        inputs_hw=(POSE_HW,),
        precision="fp32",
        weights_sha256=sha256(checkpoint),
        skeleton="coco17",
        heatmap_hw=heatmap_size((h, w)),
        part_ankles=True,
        decode="dark",  # costs a tenth of a millisecond per frame; the model card states the gain
    )
    export_onnx(hrnet_on_crops(load_hrnet(checkpoint)[0]), engine, spec)
    return _saved(spec, engine)


def build_detector(name: str) -> EngineSpec:
    """Export the detector `name` in fp32, with open height and width."""
    checkpoint, engine = models_folder() / f"{name}.pt", models_folder() / f"{name}.onnx"
    spec = EngineSpec(name, "detection", DETECTOR_HWS, "fp32", sha256(checkpoint))
    export_onnx(load_yolo(checkpoint, classic=True), engine, spec, free_hw=True)
    return _saved(spec, engine)


def build_int8(fp32: EngineSpec, footage: Path, annotations: Path, images: Path) -> None:
    """Quantise an embedded engine, compare it with fp32, and measure its loss of AP."""
    import onnx

    from hrpose_rt.export.quantize import first_and_last, to_int8

    source = models_folder() / f"{fp32.model}.onnx"
    engine = models_folder() / f"{fp32.model}-int8.onnx"
    spec = replace(fp32, precision="int8", onnx_sha256="", parity={})
    examples = verify.CalibrationSet(fp32.task, fp32.input_hw, footage)
    fp32_graph = onnx.load(source)
    first, *last = first_and_last(fp32_graph)
    # The pose network's stem in int8 would cost .006 AP more. The detector's takes a quarter of its time.
    keep = last if fp32.task == "detection" else [first, *last]
    model = to_int8(fp32_graph, examples.batches(), keep=keep)
    save_onnx(model, engine, spec)
    spec = replace(spec, layers=layers_by_precision(model))
    photos = verify.CalibrationSet(fp32.task, fp32.input_hw, None)
    reference = OnnxRuntime(source, usable_cores())
    fp32_ap, int8_ap = (_ap(e, s, annotations, images) for e, s in ((source, fp32), (engine, spec)))
    if fp32_ap - int8_ap > AP_LOSS:
        raise RunBroken(f"int8 costs {fp32_ap - int8_ap:.4f} AP: calibrate with other footage")
    # AP decides here: a joint with two equal peaks may jump between them at no cost.
    parity = verify.verdict(spec, verify.compare(engine, spec, reference, photos), keep=True)
    parity |= {"ap": round(int8_ap, 4), "ap_loss": round(fp32_ap - int8_ap, 4)}
    _saved(replace(spec, parity=parity), engine)
    print(spec.model, spec.layers, parity)


def _saved(spec: EngineSpec, engine: Path) -> EngineSpec:
    spec = replace(spec, sha256=engine_sha256(engine))
    spec.save(spec_path(engine))
    return spec


def _ap(engine: Path, spec: EngineSpec, annotations: Path, folder: Path) -> float:
    truth = coco.load_annotations(annotations)
    images = [AnnotatedImage(i, folder / truth.imgs[i]["file_name"]) for i in sorted(truth.imgs)]
    runtime = OpenVinoRuntime(engine, spec.precision, usable_cores())
    if spec.task == "detection":
        detector = YoloDetector(runtime, spec.inputs_hw, DetectionFilter(EVAL_MIN_BOX_SCORE))
        boxes = box_results(images, detected(detector), lambda: None)
        return float(coco.score(truth, boxes, "bbox").metrics[0])
    estimator = HostPoseEstimator(runtime, spec)
    poses = pose_results(images, annotated(truth), estimator, OksNms(COCO17, 0.9), lambda: None)
    return float(coco.score(truth, poses, "keypoints").metrics[0])


if __name__ == "__main__":
    for network in (build_pose(DEFAULT_POSE), build_detector(DEFAULT_DETECTOR)):
        if len(sys.argv) == 4:
            build_int8(network, *map(Path, sys.argv[1:]))
