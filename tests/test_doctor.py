"""The doctor: what it finds here, and what it says of what is broken."""

import subprocess
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hrpose_rt import doctor
from hrpose_rt.cli.main import build_app
from hrpose_rt.nets import zoo
from hrpose_rt.runtimes.ov import OpenVinoRuntime


def checks(check) -> dict[str, doctor.Check]:
    return {check.name: check for check in check()}


def test_doctor_finds_runtimes_models_and_video_support() -> None:
    found = checks(doctor.run_checks)
    needed = {
        "program",
        "processor",
        "openvino",
        "onnxruntime",
        "torch",
        "tensorrt",
        "triton",
        "video in",
        "video out",
    }
    needed |= {"hrnet-w16-lite", "yolo26n-person", "this folder", "home", "GPU", "display", "cameras"}
    assert needed <= set(found)
    assert not [check for check in found.values() if check.ok is False]
    assert "fp32 int8 on cpu, fp16 fp32 int8 on gpu, fp16 int8 on npu; sees CPU" in found["openvino"].result
    assert "fp32 int8 on cpu, fp32 fp16 on cuda; sees" in found["onnxruntime"].result


def test_doctor_command_prints_checks_and_exits_zero() -> None:
    done = CliRunner().invoke(build_app(), ["doctor"])
    assert done.exit_code == 0
    assert "openvino" in done.stdout and "to do" in done.stdout


def test_doctor_reports_wrong_model_hash_and_unwritable_home(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr("hrpose_rt.nets.zoo.sha256", lambda path: "0" * 64)
    monkeypatch.setattr(doctor, "cache_dir", lambda: Path("/proc/nowhere"))
    models, (home,) = checks(doctor._models), doctor._home()
    assert models["hrnet-w16-lite"].fix == "a file is missing or was changed: install the package again"
    assert (home.ok, home.fix) == (False, "set HRPOSE_HOME to a folder of yours")
    done = CliRunner().invoke(build_app(), ["doctor"])
    assert done.exit_code == 1


def test_doctor_reports_network_that_computes_something_else_than_in_fp32(monkeypatch) -> None:
    right = checks(doctor._models)["yolo26n-person"]
    assert right.ok and right.result.endswith("on openvino computes what fp32 does")
    infer, calls = OpenVinoRuntime.infer, count()

    def wrong_every_second_time(self: OpenVinoRuntime, batch: np.ndarray) -> np.ndarray:
        return infer(self, batch[:, ::-1].copy() if next(calls) % 2 else batch)  # fp32 comes first

    monkeypatch.setattr(OpenVinoRuntime, "infer", wrong_every_second_time)
    wrong = checks(doctor._models)["yolo26n-person"]
    assert not wrong.ok and "computes something else (correlation" in wrong.result
    assert wrong.fix == "use --precision fp32, and report this"


def test_doctor_missing_runtime_shows_pip_install(monkeypatch) -> None:
    def absent(package: str) -> str:
        raise doctor.PackageNotFoundError(package)

    monkeypatch.setattr(doctor, "version", absent)
    found = checks(doctor._runtimes)
    assert (found["openvino"].ok, found["openvino"].fix) == (False, "pip install openvino")
    assert (found["torch"].ok, found["torch"].fix) == (None, "pip install -e '.[train]' in the checkout")
    assert (found["triton"].ok, found["triton"].fix) == (None, "pip install -e '.[triton]' in the checkout")


@pytest.mark.parametrize(
    ("code", "text", "good"), [(0, "GPU X, 600.1, 8.9\n", True), (9, "driver mismatch\n", False)]
)
def test_doctor_reads_gpu_from_nvidia_smi(monkeypatch, code, text, good) -> None:
    answer = subprocess.CompletedProcess([], code, text, "")
    monkeypatch.setattr(doctor.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(doctor.subprocess, "run", lambda *_, **__: answer)
    (found,) = doctor._graphics()
    assert (found.ok, found.result) == (good, text.strip())


def test_doctor_reports_exception_of_failing_check(monkeypatch) -> None:
    def _broken() -> list[doctor.Check]:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(doctor, "CHECKS", (_broken,))
    (found,) = doctor.run_checks()
    assert (found.name, found.ok, found.result) == ("broken", False, "ZeroDivisionError: by zero")


@pytest.mark.parametrize("name", ["file", "file/below", "link"])
def test_doctor_finds_home_that_is_no_folder(name, monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    monkeypatch.setenv("HRPOSE_HOME", str(tmp_path / name))
    (home,) = doctor._home()
    assert home.ok is False and "cannot be written" in home.result


def test_doctor_without_home_folder_still_checks_models(monkeypatch) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("HRPOSE_HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    found = checks(doctor.run_checks)
    assert found["hrnet-w16-lite"].ok and found["this folder"].ok
    assert (found["home"].ok, found["home"].fix) == (False, "")
    assert found["home"].result.endswith("set HRPOSE_HOME to a folder that can be written")


@pytest.mark.parametrize("name", ["hrnet-w16-lite-int8.onnx", "hrnet-w16-lite.json"])
def test_doctor_finds_damaged_engine_of_any_precision(name, monkeypatch, tmp_path: Path) -> None:
    for file in zoo.models_folder().iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / name).unlink()
    (tmp_path / name).write_bytes(b"damaged")
    monkeypatch.setattr(zoo, "models_folder", lambda: tmp_path)
    models = checks(doctor._models)
    assert (models["hrnet-w16-lite"].ok, models["yolo26n-person"].ok) == (False, True)


def test_doctor_reports_runtime_that_does_not_load(monkeypatch) -> None:
    def broken() -> str:
        raise ImportError("libonnxruntime.so: cannot open shared object file")

    monkeypatch.setitem(doctor._DEVICES, "onnxruntime", broken)
    found = checks(doctor._runtimes)
    assert found["openvino"].ok and found["torch"].ok
    assert "does not load: libonnxruntime.so" in found["onnxruntime"].result
    assert found["onnxruntime"].fix == "pip install --force-reinstall onnxruntime"


@pytest.mark.parametrize("error", [OSError(8, "Exec format error"), subprocess.TimeoutExpired("smi", 20)])
def test_doctor_reports_nvidia_smi_that_does_not_answer(error, monkeypatch) -> None:
    def broken(*_, **__):
        raise error

    monkeypatch.setattr(doctor.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(doctor.subprocess, "run", broken)
    (found,) = doctor._graphics()
    assert found.ok is False and "does not answer" in found.result
    assert found.fix == "repair the NVIDIA driver, or ignore it: the CPU is used"
