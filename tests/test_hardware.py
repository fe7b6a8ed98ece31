"""What this machine is."""

import os
from pathlib import Path

import pytest

from hrpose_rt.hardware import (
    container_cores,
    gpu_facts,
    open_files_limit,
    peak_memory_mib,
    usable_cores,
)


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "nonsense"}, None),
        ({}, None),
    ],
)
def test_container_cores_are_read_from_cgroup(tmp_path: Path, files, cores) -> None:
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert container_cores(tmp_path) == cores


def test_usable_cores_is_at_least_one() -> None:
    assert usable_cores() >= 1


def test_peak_memory_grows_with_what_is_used() -> None:
    before = peak_memory_mib()
    if before is None:
        pytest.skip("this system does not say")
    assert len(bytes(range(256)) * (2**12 * 300)) == 300 * 2**20
    after = peak_memory_mib()
    assert after is not None and after >= max(before, 300)


def test_open_files_limit_is_the_one_of_the_process() -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        assert open_files_limit() == 256
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_gpu_facts_are_those_of_nvidia_smi_for_that_gpu(tmp_path, monkeypatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        "#!/bin/sh\n"
        'echo "$@" > "$0.asked"\n'
        'echo "NVIDIA H200, 570.1, 9.0, 143771 MiB, 700.00 W, 1980 MHz, 3201 MHz, 1980 MHz"\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    facts = gpu_facts(1)
    assert (facts["name"], facts["memory.total"], facts["clocks.sm"]) == (
        "NVIDIA H200",
        "143771 MiB",
        "1980 MHz",
    )
    assert "--id=1" in (tmp_path / "nvidia-smi.asked").read_text()
    tool.write_text("#!/bin/sh\necho No devices were found\nexit 6\n")
    assert gpu_facts() == {}
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert gpu_facts() == {}
