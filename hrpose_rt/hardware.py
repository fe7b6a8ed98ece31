"""What this machine is, for the lines that go beside every figure."""

import ctypes
import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SCREEN_S = 20.0  # for a window to open
# The instructions that decide how fast a network runs on an x86 CPU, and ARM's counterparts.
_FEATURES = (
    *("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "avx_vnni"),
    *("amx_bf16", "amx_int8", "asimddp", "bf16", "i8mm"),
)


def cpu_name() -> str:
    """The processor's name."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def cpu_features() -> list[str]:
    """Those of its features that matter here; empty where the system does not tell."""
    present = set((_cpuinfo("flags") or _cpuinfo("Features")).split())
    return [name for name in _FEATURES if name in present]


def usable_cores() -> int:
    """Cores this process may use: those it may run on, or fewer where a container grants less time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, container_cores(Path("/sys/fs/cgroup")) or cores))


def container_cores(groups: Path) -> int | None:
    """Cores' worth of time, rounded up, that a control group grants; None where it sets no limit.

    Args:
        groups: Where control groups are mounted; both versions of their files are read.
    """
    try:
        if (groups / "cpu.max").is_file():
            quota, period = (groups / "cpu.max").read_text().split()
        else:
            quota = (groups / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (groups / "cpu" / "cpu.cfs_period_us").read_text()
        return -(-int(quota) // int(period)) if int(quota) > 0 else None
    except (OSError, ValueError):  # none there, or "max"
        return None


def _cpuinfo(key: str) -> str:
    """The first line of Linux's /proc/cpuinfo that begins with `key`; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


@dataclass(frozen=True, slots=True)
class Gpu:
    """An NVIDIA GPU.

    Attributes:
        name: As its driver calls it.
        arch: Its compute capability, such as "sm89".
        driver: The driver's version; empty where the system does not tell.
    """

    name: str
    arch: str
    driver: str


def nvidia_gpus() -> list[Gpu]:
    """The GPUs that the NVIDIA driver sees, in CUDA's order; none where there is no driver."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1" if os.name == "posix" else "nvcuda.dll")
        count = ctypes.c_int()
        if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
            return []
    except OSError:
        return []
    gpus = []
    for i in range(count.value):
        name, device, major, minor = ctypes.create_string_buffer(128), *(ctypes.c_int() for _ in range(3))
        cuda.cuDeviceGet(ctypes.byref(device), i)
        cuda.cuDeviceGetName(name, len(name), device)
        cuda.cuDeviceGetAttribute(ctypes.byref(major), _CAPABILITY_MAJOR, device)
        cuda.cuDeviceGetAttribute(ctypes.byref(minor), _CAPABILITY_MINOR, device)
        gpus.append(Gpu(name.value.decode(), f"sm{major.value}{minor.value}", _driver()))
    return gpus


_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # of CUdevice_attribute


def _driver() -> str:
    try:
        match = re.search(r"\b(\d+\.\d+(?:\.\d+)?)\b", Path("/proc/driver/nvidia/version").read_text())
    except OSError:
        return ""
    return match.group(1) if match else ""


def why_no_screen() -> str:
    """Why no window can be opened here; empty if one can.

    Where a screen is named, a child tries it: OpenCV's windows end the process if nobody answers there.
    """
    if sys.platform != "linux":
        return ""
    name = os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY")
    if not name:
        return "there is none here"
    try:
        child = subprocess.run(
            [sys.executable, "-c", "import cv2; cv2.namedWindow('screen')"],
            capture_output=True,
            timeout=SCREEN_S,
        )
    except subprocess.TimeoutExpired:
        return f"{name} does not answer"
    return "" if child.returncode == 0 else f"no window opens on {name}"
