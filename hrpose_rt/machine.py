"""What this machine is, for the lines that go beside every figure."""

import os
import platform
from pathlib import Path

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
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpuinfo(key: str) -> str:
    """The first line of Linux's /proc/cpuinfo that begins with `key`; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")
