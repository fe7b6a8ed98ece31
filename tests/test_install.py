"""The wheel alone, in an environment of its own, as a newcomer gets it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from hrpose_rt.skeleton import COCO17

ROOT = Path(__file__).parents[1]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """An environment with the wheel and its base dependencies."""
    dist, env = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("base") / "env"
    _run([*PIP, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(dist), str(ROOT)], dist)
    (wheel,) = dist.glob("hrpose_rt-*.whl")
    assert wheel.stat().st_size < 45e6
    assert "hrpose_rt/py.typed" in ZipFile(wheel).namelist()
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
    assert "torch==" not in packages
    assert "ultralytics==" not in packages


BASE_LACKS = {  # command, where {} is a photo: a part of the sentence
    "run {} --runtime torch": "yolo26n-person needs PyTorch here: pip install '.[train]' in the checkout",
    "run {} --input-hw 128x96": "hrnet-w16-lite needs PyTorch here: pip install '.[train]' in the checkout",
    "run {} --detector yolo26n": "yolo26n needs ultralytics: pip install '.[train]' in the checkout",
    "train --data people.json --output out": "this needs torch: pip install '.[train]' in the checkout",
    "bench compare": "this needs torch: pip install '.[train]' in the checkout",
    "bench crowd --quick": "they come with ultralytics: pip install '.[export]' in the checkout, or",
    "bench bounded": "they come with ultralytics: pip install '.[export]' in the checkout, or",
    "export hrnet-w16-lite --output out": "exporting needs torch and onnx: pip install '.[export]'",
    "eval coco --annotations people.json --images .": "need pycocotools: pip install '.[train",
    "eval detector --annotations people.json --images .": "need pycocotools: pip install '.[train",
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
    program = str(base / "bin" / "hrpose-rt")
    words = [word.format(photos / "bus.jpg") for word in command.split()]
    done = subprocess.run([program, *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    *before, last = done.stderr.strip().splitlines()  # before it is what was being done
    assert last.startswith("hrpose-rt: ") and BASE_LACKS[command] in last
    assert len(before) <= 1 and "Traceback" not in done.stderr


@pytest.mark.slow
def test_doctor_output_is_not_truncated_when_piped(base: Path, tmp_path) -> None:
    found = "".join(_run([str(base / "bin" / "hrpose-rt"), "doctor"], tmp_path).split())
    assert "pipinstall'.[train]'inthecheckout" in found and "…" not in found


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
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
