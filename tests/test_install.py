"""The wheel alone, in an environment of its own, as a newcomer gets it."""

import json
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


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
