"""What this machine is."""

from pathlib import Path

import pytest

from hrpose_rt.hardware import container_cores, open_files_limit, peak_memory_mib, usable_cores


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
