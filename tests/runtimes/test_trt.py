"""Where TensorRT's engines run, and what is said elsewhere; `tests/gpu` has the runtime itself."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hrpose_rt.errors import BadInput, RuntimeMissing
from hrpose_rt.hardware import Gpu
from hrpose_rt.nets.spec import Build, EngineSpec
from hrpose_rt.runtimes.cuda import find_cuda
from hrpose_rt.runtimes.trt import TrtRuntime
from hrpose_rt.runtimes.trt_compat import incompatibility
from tests.fakes_trt import SHAPE, FakeTrt

BUILD = Build("tensorrt", "10.9.0", ("sm89",), "RTX 4090", "570.1", {"hardware_compat": "none"})
SPEC = EngineSpec("m", "pose", (SHAPE[:2],), "fp16", "", format="tensorrt", build=BUILD)


def test_tensorrt_version_mismatch_raises_with_export_command() -> None:
    with pytest.raises(
        BadInput, match=r"built for TensorRT 10\.9\.0, found 11\.4: hrpose-rt export m --form"
    ):
        TrtRuntime(Path("m.engine"), SPEC, library=FakeTrt("11.4"))


ADA, ADA2, HOPPER, TURING = (
    Gpu("RTX 4090", "sm89", "570"),
    Gpu("L4", "sm89", "570"),
    Gpu("H100", "sm90", "570"),
    Gpu("T4", "sm75", "570"),
)


@pytest.mark.parametrize(
    ("options", "gpu", "words"),
    [
        ({"hardware_compat": "none"}, ADA, ""),
        ({"hardware_compat": "none"}, ADA2, "built on RTX 4090, found L4"),
        ({"hardware_compat": "same-cc"}, ADA2, ""),
        ({"hardware_compat": "same-cc"}, HOPPER, "built for sm89, found sm90"),
        ({"hardware_compat": "ampere-plus"}, HOPPER, ""),
        ({"hardware_compat": "ampere-plus"}, TURING, "built for Ampere and later, found sm75"),
    ],
)
def test_tensorrt_hardware_compat_decides_which_gpus_run_engine(options, gpu, words) -> None:
    assert incompatibility(replace(BUILD, options=options), "tensorrt", "10.9.0", [gpu]) == words


def test_tensorrt_rtx_engine_runs_only_on_its_archs() -> None:
    build = replace(BUILD, library="tensorrt-rtx", archs=("sm86", "sm89"), gpu="")
    assert incompatibility(build, "tensorrt-rtx", "10.9.0", [ADA]) == ""
    assert incompatibility(build, "tensorrt-rtx", "10.9.0", [TURING]) == "built for sm86, sm89, found sm75"


def test_tensorrt_compat_check_uses_selected_gpu() -> None:
    assert incompatibility(BUILD, "tensorrt", "10.9.0", [ADA, TURING], 0) == ""
    assert incompatibility(BUILD, "tensorrt", "10.9.0", [ADA, TURING], 1) == "built on RTX 4090, found T4"


def test_tensorrt_version_compat_allows_later_minor_versions() -> None:
    build = replace(BUILD, options={"version_compat": True, "hardware_compat": "none"})
    assert incompatibility(build, "tensorrt", "10.16.1", [ADA]) == ""
    assert incompatibility(build, "tensorrt", "11.4", [ADA]) == "built for TensorRT 10.9.0, found 11.4"
    assert incompatibility(build, "tensorrt", "10.1", [ADA]) == "built for TensorRT 10.9.0, found 10.1"


def test_find_cuda_without_gpu_raises_runtime_missing() -> None:
    if torch.cuda.is_available():
        pytest.skip("CUDA is here")
    with pytest.raises(
        RuntimeMissing, match=r"sees no CUDA devices, cuda was asked for: check that nvidia-smi"
    ):
        find_cuda("cuda")
