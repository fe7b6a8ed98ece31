"""The wheel alone, in an environment of its own, as a newcomer gets it."""

import json
import os
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from zipfile import ZipFile

import pytest

from hrpose_rt.errors import install_hint
from hrpose_rt.skeleton import COCO17
from tests import onnx_files

ROOT = Path(__file__).parents[1]
MAX_MIB = 680  # of everything in a new environment, pip and bytecode included; 654 when it was set
MAX_IMPORT_S = 0.4  # CPU seconds to import the command line; 0.09 when it was set
# Only what is installed, not the checkout.
ALONE = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """An environment with the wheel and its base dependencies."""
    dist, env = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("base") / "env"
    _run([*PIP, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(dist), str(ROOT)], dist)
    (wheel,) = dist.glob("hrpose_rt-*.whl")
    assert wheel.stat().st_size < 25e6
    files = ZipFile(wheel).namelist()
    assert "hrpose_rt/py.typed" in files
    assert not [name for name in files if name.endswith((".pt", ".pth"))]
    _run([sys.executable, "-m", "venv", str(env)], dist)
    _run([*PIP, "--python", str(env), "install", "--quiet", str(wheel)], dist)
    return env


@pytest.mark.slow
def test_wheel_runs_image_with_base_dependencies_only(base: Path, tmp_path: Path, photos: Path) -> None:
    command = str(base / "bin" / "hrpose-rt")
    _run([command, "run", str(photos / "bus.jpg"), "--save", "out.jpg", "--json", "out.jsonl"], tmp_path)

    header, frame = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert header["models"] == {"pose": "hrnet-w16-lite", "detector": "yolo26n-person"}
    assert len(frame["people"]) >= 3  # four stand before the bus, one of them half out of the picture
    assert (tmp_path / "out.jpg").stat().st_size > 10_000
    packages = _run([*PIP, "--python", str(base), "list", "--format=freeze"], tmp_path)
    assert "openvino==" in packages
    extras = "torch ultralytics scipy trackers supervision onnxruntime matplotlib pyarrow ray"
    for absent in extras.split():
        assert f"{absent}==" not in packages


@pytest.mark.slow
def test_base_install_is_small_and_starts_fast(base: Path, tmp_path: Path) -> None:
    size = sum(path.stat().st_size for path in base.rglob("*") if path.is_file() and not path.is_symlink())
    assert size / 2**20 <= MAX_MIB
    python = str(base / "bin" / "python")
    for module in ("hrpose_rt", "hrpose_rt.cli.main"):
        code = f"import time, {module}; print(time.process_time())"
        assert min(float(_run([python, "-c", code], tmp_path)) for _ in range(3)) <= MAX_IMPORT_S, module


def test_all_extras_together_have_one_opencv() -> None:
    """The development environment has every extra; two copies would overwrite each other's files."""
    assert set(packages_distributions()["cv2"]) == {"opencv-python"}


@pytest.mark.slow
@pytest.mark.parametrize("options", ["--precision int8", "--precision fp32", "--flip-test", "--tiles 2x2"])
def test_wheel_needs_no_checkpoint_for(options: str, base: Path, tmp_path: Path, photos: Path) -> None:
    command = [str(base / "bin" / "hrpose-rt"), "run", str(photos / "bus.jpg"), "--json", "out.jsonl"]
    _run([*command, *options.split()], tmp_path)
    frame = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[1])
    assert sum(person["keypoints"] is not None for person in frame["people"]) >= 3


BASE_LACKS = {  # command, where {} is a photo: a part of the sentence
    "run {} --runtime torch": "this installation has engines of yolo26n-person and not the checkpoint",
    "run {} --runtime onnxruntime": f"): {install_hint('onnx')}",
    "run {} --pose net.onnx": "ONNX Runtime does not load (No module named 'onnxruntime'",
    "run {} --input-hw 128x96": "this installation has engines of hrnet-w16-lite and not the checkpoint",
    "run {} --detector yolo26n": f"yolo26n needs ultralytics: {install_hint('train')}",
    "run {} --tracker ocsort": f"--tracker ocsort needs trackers: {install_hint('tracking')}",
    "train --data people.json --output out": f"this needs torch: {install_hint('train')}",
    "bench compare": f"this needs torch: {install_hint('train')}",
    "bench crowd --quick": f"they come with ultralytics: {install_hint('export')}, or",
    "bench bounded": f"they come with ultralytics: {install_hint('export')}, or",
    "export hrnet-w16-lite --output out": f"exporting needs onnx: {install_hint('export')}",
    "eval coco --annotations people.json --images .": f"need pycocotools: {install_hint('train')}",
    "eval detector --annotations people.json --images .": f"need pycocotools: {install_hint('train')}",
    "run {} --runtime triton --url grpc://localhost:1": f"module named 'grpc'): {install_hint('triton')}",
    "export hrnet-w16-lite --format triton --output out": f"tritonclient'): {install_hint('triton')}",
}


@pytest.mark.slow
@pytest.mark.parametrize("command", BASE_LACKS)
def test_wheel_commands_name_missing_pip_extra_in_one_line(
    command, base: Path, photos: Path, tmp_path
) -> None:
    images = [{"id": 1, "file_name": "bus.jpg"}]
    categories = [{"id": 1, "name": "person", "keypoints": list(COCO17.joints)}]
    people = {"images": images, "annotations": [], "categories": categories}
    (tmp_path / "people.json").write_text(json.dumps(people))
    onnx_files.simcc(tmp_path / "net.onnx")
    program = str(base / "bin" / "hrpose-rt")
    words = [word.format(photos / "bus.jpg") for word in command.split()]
    done = subprocess.run([program, *words], env=ALONE, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    *before, last = done.stderr.strip().splitlines()  # before it is what was being done
    assert last.startswith("hrpose-rt: ") and BASE_LACKS[command] in last
    assert len(before) <= 1 and "Traceback" not in done.stderr


@pytest.mark.slow
def test_doctor_output_is_not_truncated_when_piped(base: Path, tmp_path) -> None:
    found = "".join(_run([str(base / "bin" / "hrpose-rt"), "doctor"], tmp_path).split())
    assert "".join(install_hint("train").split()) in found and "…" not in found


def test_ci_runs_with_fresh_home_and_keeps_pip_config(tmp_path: Path) -> None:
    settings = tmp_path / "old" / ".config" / "pip" / "pip.conf"
    settings.parent.mkdir(parents=True)
    settings.touch()
    make = tmp_path / "make"
    make.write_text('#!/bin/sh\nenv; find "$HOME" "$YOLO_CONFIG_DIR" "$XDG_CONFIG_HOME" -mindepth 1\n')
    make.chmod(0o755)
    before = {"HOME": str(tmp_path / "old"), "YOLO_CONFIG_DIR": "/old", "TMPDIR": str(tmp_path)}
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", str(ROOT / ".ci" / "run")], env={"PATH": path, **before}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = dict(line.split("=", 1) for line in done.stdout.splitlines())  # and no file in those folders
    folders = [value for name, value in found.items() if name.endswith(("HOME", "CONFIG_DIR", "CONFIGDIR"))]
    assert {"HOME", "XDG_CACHE_HOME", "HRPOSE_HOME", "TORCH_HOME", "MPLCONFIGDIR"} <= found.keys()
    assert len(set(folders)) == len(folders) and not any("/old" in folder for folder in folders)
    assert not any(Path(folder).exists() for folder in folders)  # nor is anything left afterwards
    assert found["PIP_CONFIG_FILE"] == str(settings)


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, env=ALONE, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
