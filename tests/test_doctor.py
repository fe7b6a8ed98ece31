"""The doctor: what it finds here, and what it says of what is broken."""

import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hrpose_rt import doctor
from hrpose_rt.cli.main import build_app


def checks(check) -> dict[str, doctor.Check]:
    return {check.name: check for check in check()}


def test_everything_the_program_needs_is_found_here() -> None:
    found = checks(doctor.run_checks)
    needed = {
        "program",
        "processor",
        "openvino",
        "onnxruntime",
        "torch",
        "tensorrt",
        "video in",
        "video out",
    }
    needed |= {"hrnet-w16-lite", "yolo26n-person", "this folder", "home", "GPU", "display", "cameras"}
    assert needed <= set(found)
    assert not [check for check in found.values() if check.ok is False]
    assert "fp32 int8 on cpu, fp16 fp32 int8 on gpu, fp16 int8 on npu; sees CPU" in found["openvino"].result
    assert "fp32 int8 on cpu, fp32 fp16 on cuda; sees" in found["onnxruntime"].result


def test_the_command_prints_it_and_ends_well() -> None:
    done = CliRunner().invoke(build_app(), ["doctor"])
    assert done.exit_code == 0
    assert "openvino" in done.stdout and "to do" in done.stdout


def test_what_is_broken_is_told_with_what_to_do(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr("hrpose_rt.nets.zoo.sha256", lambda path: "0" * 64)
    monkeypatch.setattr(doctor, "cache_dir", lambda: Path("/proc/nowhere"))
    models, folders = checks(doctor._models), checks(doctor._folders)
    assert models["hrnet-w16-lite"].fix == "the file was changed: install the package again"
    assert folders["home"].ok is False
    assert folders["home"].fix == "set HRPOSE_HOME to a folder of yours"
    done = CliRunner().invoke(build_app(), ["doctor"])
    assert done.exit_code == 1


def test_a_missing_runtime_is_told_with_what_installs_it(monkeypatch) -> None:
    def absent(package: str) -> str:
        raise doctor.PackageNotFoundError(package)

    monkeypatch.setattr(doctor, "version", absent)
    found = checks(doctor._runtimes)
    assert (found["openvino"].ok, found["openvino"].fix) == (False, "pip install openvino")
    assert (found["torch"].ok, found["torch"].fix) == (None, "pip install 'hrpose-rt[train]'")


@pytest.mark.parametrize(
    ("code", "text", "good"), [(0, "GPU X, 600.1, 8.9\n", True), (9, "driver mismatch\n", False)]
)
def test_gpus_are_asked_for_by_nvidias_tool(monkeypatch, code, text, good) -> None:
    answer = subprocess.CompletedProcess([], code, text, "")
    monkeypatch.setattr(doctor.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(doctor.subprocess, "run", lambda *_, **__: answer)
    (found,) = doctor._graphics()
    assert (found.ok, found.result) == (good, text.strip())


def test_a_check_that_breaks_is_a_finding(monkeypatch) -> None:
    def _broken() -> list[doctor.Check]:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(doctor, "CHECKS", (_broken,))
    (found,) = doctor.run_checks()
    assert (found.name, found.ok, found.result) == ("broken", False, "ZeroDivisionError: by zero")
