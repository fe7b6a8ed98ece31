"""The TensorRT libraries: which one is installed, and whether an engine was built for it."""

import importlib
from importlib.util import find_spec
from typing import Any

from hrpose_rt.errors import RuntimeMissing, install_hint
from hrpose_rt.hardware import Gpu, nvidia_gpus
from hrpose_rt.nets.spec import Build

MODULES = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
NAMES = {"tensorrt": "TensorRT", "tensorrt-rtx": "TensorRT for RTX"}
MIN_AMPERE_ARCH = 80


def load_tensorrt(format: str) -> Any:
    """Import the library for engines of this format; RuntimeMissing says how to install it."""
    try:
        return importlib.import_module(MODULES[format])
    except (ImportError, OSError) as error:
        raise RuntimeMissing(f"{NAMES[format]} does not load ({error}): {install_hint(format)}") from error


def check_ready(format: str, device: str) -> None:
    """Raise RuntimeMissing if an engine could not run here. This saves minutes of building it.

    Args:
        format: The engine's format; "" if no library for the GPU is installed.
        device: "cuda" or "cuda:1".
    """
    if not format and not nvidia_gpus():
        raise RuntimeMissing("TensorRT runs on NVIDIA GPUs, and there is none here: use `runtime` openvino")
    if not format:
        raise RuntimeMissing(
            f"no TensorRT for this GPU is here: {install_hint('tensorrt')}, or use `runtime` torch"
        )
    if find_spec("torch") is None:
        raise RuntimeMissing(
            f"{NAMES[format]} runs on memory of PyTorch's, which is not here: {install_hint(format)}"
        )
    load_tensorrt(format)
    from hrpose_rt.runtimes.cuda import find_cuda

    find_cuda(device)


def incompatibility(
    build: Build, format: str, installed: str, gpus: list[Gpu] | None = None, number: int = 0
) -> str:
    """The reason why an engine cannot run here, worded to follow "it was"; empty if it can.

    Args:
        build: The engine's build record.
        format: The engine's format.
        installed: Version of the installed library.
        gpus: GPUs of this machine; looked up if None.
        number: Number of the GPU to run on. A GPU that is not here is not checked.
    """
    theirs, ours = _number(build.version), _number(installed)
    # A version-compatible engine still needs the major version that it was built for.
    later = build.options.get("version_compat") and ours[:1] == theirs[:1] and ours >= theirs
    if build.version != installed and not later:
        return f"built for {NAMES[format]} {build.version}, found {installed}"
    matching = (nvidia_gpus() if gpus is None else gpus)[number:]
    if not matching:
        return ""
    gpu, level = matching[0], build.options.get("hardware_compat", "none")
    if format == "tensorrt-rtx":
        return "" if gpu.arch in build.archs else f"built for {', '.join(build.archs)}, found {gpu.arch}"
    if level == "none" and gpu.name != build.gpu:
        return f"built on {build.gpu}, found {gpu.name}"
    if level == "same-cc" and gpu.arch not in build.archs:
        return f"built for {', '.join(build.archs)}, found {gpu.arch}"
    if level == "ampere-plus" and int(gpu.arch.removeprefix("sm")) < MIN_AMPERE_ARCH:
        return f"built for Ampere and later, found {gpu.arch}"
    return ""


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())
