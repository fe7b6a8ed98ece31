"""The networks that the project knows become engines for GPUs, with no GPU here."""

from pathlib import Path

import pytest
import torch

from hrpose_rt.errors import BadInput
from hrpose_rt.export.engines import export
from hrpose_rt.export.request import ExportRequest
from hrpose_rt.export.tensorrt import TrtOptions
from hrpose_rt.nets.hrnet import HRNet
from hrpose_rt.nets.hrnet_config import W32, W48
from hrpose_rt.nets.zoo import Model, find_model

pytestmark = pytest.mark.slow
ARCHS = {"fp32": ("sm75", "sm86", "sm89", "sm120"), "fp16": ("sm75", "sm86", "sm89", "sm120")}
ARCHS["int8"] = ARCHS["fp32"][1:]


def of_random_weights(name: str, folder: Path) -> Model:
    torch.manual_seed(0)
    if name == "yolo26n":
        from ultralytics.nn.tasks import DetectionModel

        torch.save({"model": DetectionModel("yolo26n.yaml", verbose=False)}, folder / "yolo26n.pt")
        return find_model(str(folder / "yolo26n.pt"), "detection")
    torch.save(HRNet({"hrnet-w32": W32, "hrnet-w48": W48}[name]).state_dict(), folder / f"{name}.pth")
    return find_model(str(folder / f"{name}.pth"), "pose")


@pytest.mark.parametrize("name", ["hrnet-w16-lite", "hrnet-w32", "hrnet-w48", "yolo26n"])
def test_tensorrt_rtx_builds_every_network_precision_and_arch(name: str, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    task = "detection" if name == "yolo26n" else "pose"
    model = find_model(name, task) if name == "hrnet-w16-lite" else of_random_weights(name, tmp_path)
    for precision, archs in ARCHS.items():
        # The wider networks have the layers of hrnet-w16-lite and take longest.
        for arch in archs[:1] if name in ("hrnet-w32", "hrnet-w48") else archs:
            options = TrtOptions((arch,), max_batch=1)
            request = ExportRequest("tensorrt-rtx", precision, trt=options, folder=tmp_path, verify=False)
            if (name, precision, arch) == ("yolo26n", "fp32", "sm75"):  # its attention multiplies matrices
                with pytest.raises(BadInput, match=r"cannot do in fp32 on Turing \(sm75\): use `prec"):
                    export(model, task, request)
                continue
            made = export(model, task, request)
            assert made.built and made.spec.build and made.spec.build.archs == (arch,)
            assert made.spec.layers[precision] >= 0.9 * sum(made.spec.layers.values()), made.spec.layers
