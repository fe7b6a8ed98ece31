"""The wheel alone, in an environment of its own, as a newcomer gets it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_wheel_runs_a_photo_with_base_dependencies_from_another_folder(
    tmp_path: Path, photos: Path
) -> None:
    dist, env, elsewhere = tmp_path / "dist", tmp_path / "env", tmp_path / "elsewhere"
    elsewhere.mkdir()
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    _run([*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(dist), str(ROOT)], elsewhere)
    (wheel,) = dist.glob("hrpose_rt-*.whl")
    assert wheel.stat().st_size < 45e6
    _run([sys.executable, "-m", "venv", str(env)], elsewhere)
    _run([*pip, "--python", str(env), "install", "--quiet", str(wheel)], elsewhere)
    command = str(env / "bin" / "hrpose-rt")
    _run([command, "run", str(photos / "bus.jpg"), "--save", "out.jpg", "--json", "out.jsonl"], elsewhere)

    header, frame = map(json.loads, (elsewhere / "out.jsonl").read_text().splitlines())
    assert header["models"] == {"pose": "hrnet-w16-lite", "detector": "yolo26n-person"}
    assert len(frame["people"]) >= 3  # four stand before the bus, one of them half out of the picture
    assert (elsewhere / "out.jpg").stat().st_size > 10_000
    packages = _run([*pip, "--python", str(env), "list", "--format=freeze"], elsewhere)
    assert "openvino==" in packages
    assert "torch==" not in packages
    assert "ultralytics==" not in packages


def test_continuous_integration_is_a_newcomer_who_keeps_the_settings_of_pip(tmp_path: Path) -> None:
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
