"""Facts about this machine, for reports and `doctor`."""

import ctypes
import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SCREEN_S = 20.0  # seconds for a window to open
NVIDIA_SMI_S = 20.0  # seconds for it to answer: it waits for a driver that sleeps
# The instructions that decide the speed of networks on x86 CPUs, and their counterparts on ARM.
_FEATURES = (
    *("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "avx_vnni"),
    *("amx_bf16", "amx_int8", "asimddp", "bf16", "i8mm"),
)


def cpu_name() -> str:
    """The name of the processor."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def cpu_features() -> list[str]:
    """The CPU features in `_FEATURES`; empty if the system does not list them."""
    present = set((_cpuinfo("flags") or _cpuinfo("Features")).split())
    return [name for name in _FEATURES if name in present]


def usable_cores() -> int:
    """The cores this process may use: its CPU affinity, or fewer in a container with a time limit."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, container_cores(Path("/sys/fs/cgroup")) or cores))


def container_cores(groups: Path) -> int | None:
    """CPU time limit of a control group in cores, rounded up; None without a limit.

    Args:
        groups: Mount point of control groups; both versions of their files are read.
    """
    try:
        if (groups / "cpu.max").is_file():
            quota, period = (groups / "cpu.max").read_text().split()
        else:
            quota = (groups / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (groups / "cpu" / "cpu.cfs_period_us").read_text()
        return -(-int(quota) // int(period)) if int(quota) > 0 else None
    except (OSError, ValueError):  # missing files, or "max"
        return None


def open_files_limit() -> int | None:
    """The number of files that this process may have open; None if there is no limit, or none is known."""
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def peak_memory_mib() -> float | None:
    """The most memory that this process has used so far; None if the system does not say."""
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def _cpuinfo(key: str) -> str:
    """The value of the first line of Linux's /proc/cpuinfo that begins with `key`; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


@dataclass(frozen=True, slots=True)
class Gpu:
    """An NVIDIA GPU.

    Attributes:
        name: Its name in the driver.
        arch: Its compute capability, such as "sm89".
        driver: Version of the driver; empty if unknown.
    """

    name: str
    arch: str
    driver: str


NO_NVIDIA = "no NVIDIA driver sees a GPU here"


def nvidia_gpus() -> list[Gpu]:
    """The GPUs that the NVIDIA driver sees, in CUDA's order; empty without a driver."""
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


_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # values of CUdevice_attribute


def _driver() -> str:
    try:
        match = re.search(r"\b(\d+\.\d+(?:\.\d+)?)\b", Path("/proc/driver/nvidia/version").read_text())
    except OSError:
        return ""
    return match.group(1) if match else ""


GPU_FACTS = (
    *("name", "driver_version", "compute_cap", "memory.total", "power.limit"),
    *("clocks.sm", "clocks.mem", "clocks.max.sm"),
)


def gpu_facts(number: int = 0) -> dict[str, str]:
    """What `nvidia-smi` says about a GPU now, by the names of `GPU_FACTS`; empty if it says nothing."""
    query = ["nvidia-smi", f"--query-gpu={','.join(GPU_FACTS)}", "--format=csv,noheader", f"--id={number}"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=NVIDIA_SMI_S)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    values = done.stdout.strip().split(", ")
    return dict(zip(GPU_FACTS, values, strict=True)) if len(values) == len(GPU_FACTS) else {}


def why_no_screen() -> str:
    """The reason why no window can be opened; empty if one can.

    If a display is named, a child process tries it, since OpenCV ends the process if the display does not
    answer.
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
