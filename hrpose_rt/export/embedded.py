"""`python -m hrpose_rt.export.embedded`: embedded checkpoints -> engines (ONNX and spec)."""

from hrpose_rt.export.graph import export_onnx
from hrpose_rt.nets.inputs import hrnet_on_crops
from hrpose_rt.nets.weights import load_hrnet, sha256
from hrpose_rt.nets.yolo import load_yolo
from hrpose_rt.nets.zoo import DEFAULT_DETECTOR, DEFAULT_POSE, models_folder
from hrpose_rt.runtimes.spec import EngineSpec, spec_path

POSE_HW = (256, 192)
# Square, 16:9 and 4:3, lying and standing: a 16:9 frame costs the detector 60% of the square.
DETECTOR_HWS = ((640, 640), (384, 640), (640, 384), (480, 640), (640, 480))


def build_pose(name: str) -> None:
    """Export the pose network `name`."""
    checkpoint, engine = models_folder() / f"{name}.pth", models_folder() / f"{name}.onnx"
    net, _ = load_hrnet(checkpoint)
    export_onnx(hrnet_on_crops(net), engine, POSE_HW)
    h, w = POSE_HW
    EngineSpec(
        model=name,
        task="pose",
        inputs_hw=(POSE_HW,),
        precision="fp32",
        weights_sha256=sha256(checkpoint),
        skeleton="coco17",
        heatmap_hw=(h // 4, w // 4),
        decode="dark",  # AP .199 against .187 on the coco-mini photos, for a tenth of a millisecond
    ).save(spec_path(engine))


def build_detector(name: str) -> None:
    """Export the detector `name`."""
    checkpoint, engine = models_folder() / f"{name}.pt", models_folder() / f"{name}.onnx"
    export_onnx(load_yolo(checkpoint), engine, DETECTOR_HWS[1], free_hw=True)
    EngineSpec(
        model=name,
        task="detection",
        inputs_hw=DETECTOR_HWS,
        precision="fp32",
        weights_sha256=sha256(checkpoint),
    ).save(spec_path(engine))


if __name__ == "__main__":
    build_pose(DEFAULT_POSE)
    build_detector(DEFAULT_DETECTOR)
