"""Checks of this machine for hrpose-rt, with a fix for each missing part."""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2
import numpy as np

from hrpose_rt.config import PRECISIONS, Settings
from hrpose_rt.errors import BadInput, HrposeError, RuntimeMissing, install_hint, last_line
from hrpose_rt.hardware import cpu_features, cpu_name, nvidia_gpus, usable_cores, why_no_screen
from hrpose_rt.nets.published import PUBLISHED
from hrpose_rt.nets.published_onnx import PUBLISHED_ONNX
from hrpose_rt.nets.spec import Task
from hrpose_rt.nets.zoo import EMBEDDED, Model, find_model
from hrpose_rt.open_model import open_model
from hrpose_rt.paths import cache_dir
from hrpose_rt.runtimes.ov import openvino_core
from hrpose_rt.runtimes.selection import PRECISIONS_OF, tensorrt_format
from hrpose_rt.types import U8

VIDEO_DECODERS = ("h264", "hevc", "vp9", "av1", "mjpeg")
VIDEO_ENCODER = "libx264"
MIN_SIMILARITY = 0.8  # correlation of outputs; int8 has .94 or more where it is right, below .4 where wrong


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report.

    Attributes:
        name: The subject.
        ok: Whether the check passed; None for a missing optional part.
        result: What was found.
        fix: What to do; empty if nothing.
    """

    name: str
    ok: bool | None
    result: str
    fix: str = ""


def run_checks() -> list[Check]:
    """Run all checks; a check that raises becomes a failed line of the report."""
    checks = []
    for check in CHECKS:
        try:
            checks += check()
        except HrposeError as error:  # its message says what to do
            checks.append(Check(check.__name__.strip("_"), False, str(error)))
        except Exception as error:  # libraries may raise anything; the other checks still run
            name = check.__name__.strip("_")
            checks.append(Check(name, False, f"{type(error).__name__}: {error}", "report this"))
    return checks


def _program() -> list[Check]:
    python = platform.python_version()
    return [
        Check("program", True, f"hrpose-rt {version('hrpose-rt')}, Python {python}, {platform.platform()}")
    ]


def _processor() -> list[Check]:
    features = cpu_features()
    result = f"{usable_cores()} cores of {cpu_name()} ({', '.join(features) or 'no features known'})"
    todo = "" if _has_bf16() else "without bf16 arithmetic the networks run in fp32, about half as fast"
    return [Check("processor", True, result, todo)]


def _runtimes() -> list[Check]:
    checks = []
    for runtime, (package, todo) in {
        "openvino": ("openvino", "pip install openvino"),
        "onnxruntime": ("onnxruntime", install_hint("onnx")),
        "torch": ("torch", install_hint("train")),
    }.items():
        try:
            number = version(package)
        except PackageNotFoundError:
            needed = runtime == "openvino"
            checks.append(Check(runtime, False if needed else None, "missing", todo))
            continue
        try:
            devices = _DEVICES[runtime]()
        except Exception as error:  # a library that is installed in part may raise anything
            todo = f"pip install --force-reinstall {package}"
            checks.append(Check(runtime, False, f"{number} does not load: {last_line(error)}", todo))
            continue
        checks.append(Check(runtime, True, f"{number}: {_precisions(runtime)}; sees {devices}"))
    return [*checks, _tensorrt(), _triton()]


def _triton() -> Check:
    number = _version("tritonclient")
    if not number:
        return Check("triton", None, "missing", install_hint("triton"))
    return Check("triton", True, f"tritonclient {number}: runs networks on a server")


def _tensorrt() -> Check:
    gpus = nvidia_gpus()
    result = [
        f"{package} {_version(package)}" for package in ("tensorrt", "tensorrt-rtx") if _version(package)
    ]
    text = f"{' and '.join(result) or 'missing'}: {_precisions('tensorrt')}"
    if not gpus:
        return Check("tensorrt", None, text, "nothing: there is no NVIDIA GPU here to run on")
    if not tensorrt_format():
        return Check("tensorrt", None, text, f"{install_hint('tensorrt')} for the {gpus[0].name}")
    return Check("tensorrt", True, f"{text}; sees {', '.join(gpu.name for gpu in gpus)}")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _precisions(runtime: str) -> str:
    """The precisions of a runtime on each of its devices, without those this processor lacks."""
    result = []
    for (name, device), precisions in PRECISIONS_OF.items():
        if name == runtime:
            supported = [p for p in precisions if (device, p) != ("cpu", "bf16") or _has_bf16()]
            result.append(f"{' '.join(supported)} on {device}")
    return ", ".join(result)


def _has_bf16() -> bool:
    return any(feature.endswith("bf16") for feature in cpu_features())


def _openvino_devices() -> str:
    return ", ".join(openvino_core().available_devices)


def _onnxruntime_devices() -> str:
    import onnxruntime

    return ", ".join(
        name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers()
    )


def _torch_devices() -> str:
    import torch

    return "CPU" + "".join(f", {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count()))


_DEVICES: dict[str, Callable[[], str]] = {
    "openvino": _openvino_devices,
    "onnxruntime": _onnxruntime_devices,
    "torch": _torch_devices,
}


def _graphics() -> list[Check]:
    tool = shutil.which("nvidia-smi")
    if not tool:
        return [
            Check("GPU", None, "no NVIDIA driver (nvidia-smi) here", "nothing: everything runs on the CPU")
        ]
    query = [tool, "--query-gpu=name,driver_version,compute_cap", "--format=csv,noheader"]
    todo = "repair the NVIDIA driver, or ignore it: the CPU is used"
    try:
        done = subprocess.run(query, capture_output=True, text=True, errors="replace", timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return [Check("GPU", False, f"nvidia-smi does not answer: {error}", todo)]
    if done.returncode:
        return [Check("GPU", False, done.stdout.strip() or done.stderr.strip(), todo)]
    return [Check("GPU", True, line.strip()) for line in done.stdout.splitlines()]


def _codecs() -> list[Check]:
    import av

    missing = [name for name in VIDEO_DECODERS if name not in av.codecs_available]
    result = f"PyAV {av.__version__} reads {', '.join(n for n in VIDEO_DECODERS if n not in missing)}"
    todo = f"no {', '.join(missing)}: pip install --force-reinstall av" if missing else ""
    reads = Check("video in", not missing, result, todo)
    writes = VIDEO_ENCODER in av.codecs_available
    todo = "" if writes else "--save cannot write mp4: pip install --force-reinstall av"
    return [
        reads,
        Check("video out", writes, f"{VIDEO_ENCODER} {'is there' if writes else 'is missing'}", todo),
    ]


def _display() -> list[Check]:
    if why := why_no_screen():
        return [Check("display", None, why, "--show needs a screen; --save writes a video instead")]
    name = os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY")
    return [Check("display", True, name or sys.platform)]


def _cameras() -> list[Check]:
    devices = sorted(Path("/dev").glob("video*"))
    if not devices:
        return [Check("cameras", None, "none", "plug one in, or give a file")]
    shut = [str(device) for device in devices if not os.access(device, os.R_OK)]
    names = ", ".join(str(device) for device in devices)
    todo = f"no right to read {', '.join(shut)}: add yourself to the group video" if shut else ""
    return [Check("cameras", not shut, names, todo)]


def _models() -> list[Check]:
    return [_embedded(name, task) for name, task in EMBEDDED.items()]


def _embedded(name: str, task: Task) -> Check:
    try:
        model = find_model(name, task)
        for precision in PRECISIONS:
            if found := model.in_precision(precision):
                assert found.engine and found.spec
                found.spec.check_hash(found.engine)
        if model.checkpoint:
            model.weights()
    except BadInput:
        todo = "a file is missing or was changed: install the package again"
        return Check(name, False, f"embedded, {task}", todo)
    without = "" if model.checkpoint else ", without its checkpoint"
    computes, todo = _computes(model, task)
    return Check(name, not todo, f"embedded, {task}{without}{computes}", todo)


def _computes(model: Model, task: Task) -> tuple[str, str]:
    """Whether the engine that `auto` opens here computes what the fp32 network does, and what to do if not.

    Libraries have wrong kernels for some CPUs: in int8, OpenVINO 2026.4 found nobody on one without AMX.
    """
    scores = []
    for precision in ("fp32", "auto"):
        settings = Settings(precision=precision)
        try:
            runtime, spec, _ = open_model(model, task, settings, lambda step: None)
        except RuntimeMissing as error:
            return "", str(error)
        output = runtime.infer(_pattern(spec.input_hw))
        scores.append((output[:, 4:] if task == "detection" else output).flatten())
        what = f"; {runtime.precision} on {runtime.name} computes"
        runtime.close()
    similarity = np.asarray(np.corrcoef(np.stack(scores)))[0, 1]
    if similarity >= MIN_SIMILARITY:
        return f"{what} what fp32 does", ""
    return f"{what} something else (correlation {similarity:.2f})", "use --precision fp32, and report this"


def _pattern(hw: tuple[int, int]) -> U8:
    """An image (1, H, W, 3) with structure: coloured spots of some eight pixels."""
    spots = np.random.default_rng(0).integers(0, 256, (hw[0] // 8, hw[1] // 8, 3), np.uint8)
    image = cv2.resize(spots, hw[::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray(image[None], np.uint8)


def _fetched() -> list[Check]:
    local = [name for name, model in PUBLISHED.items() if model.is_here]
    local += [name for name, network in PUBLISHED_ONNX.items() if network.is_here]
    todo = "" if local else "hrpose-rt models pull NAME fetches one"
    return [Check("fetched", None, ", ".join(local) or "none", todo)]


def _this_folder() -> list[Check]:
    return [_writing("this folder", Path.cwd(), "run from a folder of yours")]


def _home() -> list[Check]:
    return [_writing("home", cache_dir(), "set HRPOSE_HOME to a folder of yours")]


def _writing(name: str, folder: Path, todo: str) -> Check:
    """Whether a folder can be written or, if there is none yet, be made."""
    existing = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        return Check(name, False, f"{folder} cannot be written ({error.strerror})", todo)
    free = shutil.disk_usage(existing).free / 2**30
    return Check(name, True, f"{folder} can be written, {free:.0f} GiB free")


CHECKS: tuple[Callable[[], list[Check]], ...] = (
    *(_program, _processor, _runtimes, _graphics),
    *(_codecs, _display, _cameras, _models, _fetched, _this_folder, _home),
)
