"""Input that somebody, or a bad disk, might give: taken for what it is, or refused with one sentence.

Whatever happens must be no other exception, no crash and no hang, and what is taken has to make sense.
"""

import contextlib
import io
import json
import math
import random
import shutil
import socket
import string
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from scipy.io import savemat

from hrpose_rt.bench import report as reports
from hrpose_rt.cli.exit import name_options
from hrpose_rt.cli.main import build_app
from hrpose_rt.cli.options import parse_every, parse_hw
from hrpose_rt.config import Clip
from hrpose_rt.errors import HrposeError
from hrpose_rt.evaluation import coco, mpii
from hrpose_rt.evaluation.annotations import load_people
from hrpose_rt.nets.checkpoints import load_hrnet
from hrpose_rt.nets.hrnet import HRNet
from hrpose_rt.nets.spec import EngineSpec
from hrpose_rt.nets.zoo import find_model
from hrpose_rt.paths import models_folder
from hrpose_rt.sinks.coco import read_image_ids
from hrpose_rt.sinks.web import WebView, parse_address
from hrpose_rt.skeleton import find_skeleton
from hrpose_rt.sources.open import expand, open_source
from hrpose_rt.training.overrides import parse_overrides, read_recipe, with_overrides
from hrpose_rt.training.recipes import MODERN, Recipe
from tests.conftest import write_video
from tests.nets.test_hrnet import TINY
from tests.training.people_set import write_set

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # libraries warn of what they are given here
]
# How many inputs of each kind are tried.
TRIES = {
    "videos": 60,
    "images": 90,
    "options": 120,
    "specs": 120,
    "skeletons": 60,
    "recipes": 60,
    "annotations": 120,
    "results": 90,
    "reports": 40,
    "matrices": 50,
    "weights": 60,
    "requests": 60,
}
JUNK = (
    None,
    True,
    -1,
    0,
    2**70,
    0.5,
    -1e300,
    math.nan,
    math.inf,
    "",
    "x",
    "0.9",
    [],
    [[]],
    {},
    [None],
    "é" * 99,
)


def test_fuzz_tries_at_least_800_inputs() -> None:
    assert sum(TRIES.values()) + len(NAMES) >= 800


def refused(work: Callable[..., object], *given: object) -> bool:
    """Whether it is refused, in one sentence; any other exception is the test's."""
    try:
        work(*given)
    except HrposeError as error:
        assert str(error) and "\n" not in str(error), error
        return True
    return False


def flipped(rng: random.Random, data: bytes) -> bytes:
    """The bytes of a file as a bad disk, or a broken download, gives them back."""
    with_overrides = bytearray(data)
    kind = rng.randrange(4)
    if kind == 0:
        return bytes(with_overrides[: rng.randrange(len(with_overrides))])
    if kind == 1:
        begin = rng.randrange(len(with_overrides))
        return bytes(with_overrides[:begin] + rng.randbytes(rng.randrange(200)) + with_overrides[begin:])
    for _ in range(1 if kind == 2 else rng.randrange(2, 200)):
        with_overrides[rng.randrange(len(with_overrides))] ^= 1 << rng.randrange(8)
    return bytes(with_overrides)


def mangled(rng: random.Random, content: Any) -> Any:
    """JSON with one value in it exchanged, left out, or there twice."""
    content = json.loads(json.dumps(content))
    places = [(content, key) for key in _keys(content)]
    for parent, key in places:
        if len(places) < 500 and isinstance(parent[key], dict | list):
            places += [(parent[key], inner) for inner in _keys(parent[key])]
    parent, key = rng.choice(places)
    kind = rng.randrange(6)
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent, list):
        parent.append(parent[key])
    elif kind == 1:
        parent["".join(rng.choices(string.ascii_lowercase, k=5))] = parent[key]
    else:
        parent[key] = rng.choice(JUNK)
    return rng.choice(JUNK) if rng.random() < 0.05 else content


def _keys(content: Any) -> list[Any]:
    return list(content) if isinstance(content, dict) else list(range(len(content)))


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def look(path: Path, clip: Clip | None = None) -> None:
    """The first frames of a source, which have to be pictures at times that go on."""
    with open_source(str(path), clip or Clip(max_frames=4)) as source:
        frames = list(islice(source, 4))
    times = [frame.time_s for frame in frames]
    assert all(map(math.isfinite, times)) and times == sorted(times)
    for frame in frames:
        assert frame.image.dtype == np.uint8 and frame.image.ndim == 3 and frame.image.size


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi"])
def test_fuzz_damaged_videos_are_read_or_rejected(suffix: str, tmp_path: Path) -> None:
    whole = write_video(tmp_path / f"whole{suffix}").read_bytes()
    for i in range(TRIES["videos"] // 4):
        path = tmp_path / f"{i}{suffix}"
        path.write_bytes(flipped(random.Random(i), whole))
        refused(look, path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tiff", ".gif"])
def test_fuzz_damaged_images_are_read_or_rejected(suffix: str, tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (40, 30, 3), np.uint8)
    whole = tmp_path / f"whole{suffix}"
    if suffix == ".gif":
        write_video(whole, codec="gif", pix_fmt="rgb8")
    else:
        cv2.imwrite(str(whole), picture)
    for i in range(TRIES["images"] // 6):
        path = tmp_path / f"{i}{suffix}"
        path.write_bytes(flipped(random.Random(i), whole.read_bytes()))
        refused(look, path)


# Nothing is called so, and nothing that would be tried for long.
NAMES = [
    *("", " ", "-", ".", "..", "~", "/", "//", "\n", "a\nb.mp4", "\x1b[2J.mp4", "a\0b.mp4", "\ud800.mp4"),
    *("con", "nul", "*", "%s", "?", "[", "[a", "a" * 300, "a" * 300 + ".mp4", "a/" * 2000, "é.mp4"),
    *(":", "::", "a:b", "http:", "http://", "http://[::1", "http://[", "rtsp://", "file://", "pipe:"),
    *("data:,", "file:///none.mp4", "concat:a|b", "-1", "99", "0x1", "1e3"),
    *("/dev/null", "/dev/zero", "/proc/self/mem"),
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_fuzz_source_names_are_rejected(name: str, tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path):
        assert refused(_first, name)


def _first(name: str) -> None:
    with open_source(expand([name])[0], Clip(max_frames=1), reconnect_s=0) as source:
        next(iter(source))


def test_fuzz_command_line_options_are_rejected(tmp_path: Path) -> None:
    """Values that mean nothing are refused before anything is opened."""
    app, rng = build_app(), random.Random(0)
    numbers = (
        "start end stride max-frames fps reconnect det-score kpt-score max-people memory max-age".split()
    )
    numbers += "budget-ms max-pose-age trails threads detect-every".split()
    words = "tracker tiles decode input-hw smooth runtime precision device skeleton serve".split()
    values = ["nan", "inf", "-inf", "-1e9", "1e308", "", " ", "x", "1x", "--", "0x", "1,2", "None"]
    cv2.imwrite(str(tmp_path / "photo.png"), np.zeros((8, 8, 3), np.uint8))
    for _ in range(TRIES["options"]):
        option, value, said = rng.choice(numbers + words), rng.choice(values), io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            try:
                app(["run", str(tmp_path / "photo.png"), f"--{option}={value}"])
            except SystemExit as ended:
                assert ended.code == 2, (option, value)
            except HrposeError as error:
                said.write(name_options(str(error)))
        assert option in said.getvalue() or value in said.getvalue(), (option, value, said.getvalue())
    for text in ("", "x", "256", "256x", "x256", "-256x192", "256x192x3", "1e9x1e9", "nanxnan"):
        assert refused(parse_hw, text), text
    for text in ("", "x", "0", "-1", "1.5", "auto2", "nan", "1e3"):
        assert refused(parse_every, text), text
    for text in ("", ":", "x", "1:", "99999", "-1", "::", "[::1]", "host:port", "80.0"):
        assert refused(parse_address, text), text


def test_fuzz_engine_specs_are_valid_or_rejected(tmp_path: Path) -> None:
    good = json.loads((models_folder() / "hrnet-w16-lite-int8.json").read_text())
    for i in range(TRIES["specs"]):
        path = write(tmp_path / "m.json", mangled(random.Random(i), good))
        if not refused(EngineSpec.load, path):
            spec = EngineSpec.load(path)
            spec.save(tmp_path / "again.json")
            assert EngineSpec.load(tmp_path / "again.json") == spec
            assert spec.input_hw[0] > 0 and spec.skeleton and isinstance(spec.decode, str)


def test_fuzz_skeleton_files_are_valid_or_rejected(tmp_path: Path) -> None:
    good = {
        "name": "cat",
        "joints": ["tail", "left_ear", "right_ear"],
        "edges": [["tail", "left_ear"]],
        "flip_pairs": [["left_ear", "right_ear"]],
        "sigmas": [0.1, 0.2, 0.2],
    }
    for i in range(TRIES["skeletons"]):
        path = write(tmp_path / f"{i}.json", mangled(random.Random(i), good))
        if not refused(find_skeleton, str(path)):
            skeleton = find_skeleton(str(path))
            assert sorted(skeleton.flip_order()) == list(range(len(skeleton.joints)))
            assert all(map(math.isfinite, skeleton.sigmas))


def test_fuzz_recipes_are_valid_or_rejected(tmp_path: Path) -> None:
    rng = random.Random(0)
    names = [
        "lr",
        "batch",
        "optimizer",
        "lr_steps",
        "flip",
        "rotate",
        "scale",
        "none",
        "",
        "targets",
        "ema",
        "*",
    ]
    for i in range(TRIES["recipes"]):
        text = f"{rng.choice(names)}{rng.choice(['=', '', '=='])}{rng.choice(JUNK)}"
        if not refused(_changed_by_words, text):
            recipe = _changed_by_words(text)
            assert recipe.batch > 0 and math.isfinite(recipe.lr), text
        path = tmp_path / f"{i}.toml"
        path.write_bytes(flipped(rng, b'base = "modern"\nlr = 0.001\nbatch = 16\nlr_steps = [1, 2]\n'))
        refused(_changed_by_file, path)


def _changed_by_words(text: str) -> Recipe:
    return with_overrides(MODERN, parse_overrides([text]))


def _changed_by_file(path: Path) -> Recipe:
    return with_overrides(MODERN, read_recipe(path)[1])


def test_fuzz_coco_annotations_are_valid_or_rejected(tmp_path: Path) -> None:
    good = json.loads(write_set(tmp_path / "set", people=3).read_text())
    images = tmp_path / "set" / "images"
    for i in range(TRIES["annotations"]):
        path = write(tmp_path / f"{i}.json", mangled(random.Random(i), good))
        if not refused(coco.load_annotations, path):
            people = coco.load_annotations(path).dataset["annotations"]
            perfect = [{**p, "score": 1.0} for p in people]
            figures = coco.score(coco.load_annotations(path), perfect, "keypoints").metrics
            assert np.isfinite(figures).all() and figures.max() <= 1
        if not refused(load_people, path, images):
            found = load_people(path, images)
            assert np.isfinite(found.boxes).all() and np.isfinite(found.joints).all()
        refused(read_image_ids, path, [])


def test_fuzz_coco_results_are_valid_or_rejected(tmp_path: Path) -> None:
    good = [
        {
            "image_id": 1,
            "category_id": 1,
            "keypoints": [1.0, 2, 0.5] * 17,
            "bbox": [0, 0, 9, 9],
            "score": 0.5,
        }
    ] * 2
    for i in range(TRIES["results"]):
        path = write(tmp_path / "r.json", mangled(random.Random(i), good))
        for field in ("keypoints", "bbox"):
            if not refused(coco.load_results, path, field):
                for result in coco.load_results(path, field):
                    assert all(map(math.isfinite, [*result[field], result["score"]]))


def test_fuzz_bench_reports_are_read_or_rejected(tmp_path: Path) -> None:
    cell = {"way": "a", "scene": "b", "total_ms": {"p50": 2.0, "p50_95%": [1.0, 3.0]}}
    ways = {"a": {"cpu": "x", "threads": 2}}
    good = {"kind": "crowd", "schema": 1, "ways": ways, "cells": [cell]}
    for i in range(TRIES["reports"]):
        path = write(tmp_path / "r.json", mangled(random.Random(i), good))
        if not refused(reports.load, path):
            refused(reports.regressions, good, reports.load(path))


def test_fuzz_mpii_mat_files_are_valid_or_rejected(tmp_path: Path) -> None:
    joints = np.random.default_rng(0).uniform(1, 99, (16, 2, 4))
    truth = {"pos_gt_src": joints, "jnt_missing": np.zeros((16, 4)), "headboxes_src": np.ones((2, 2, 4))}
    truth["headboxes_src"][1] = 60
    savemat(str(tmp_path / "gt.mat"), truth)
    savemat(str(tmp_path / "pred.mat"), {"preds": joints.transpose(2, 0, 1)})
    for i in range(TRIES["matrices"]):
        rng = random.Random(i)
        for name, load in (("gt", mpii.load_truth), ("pred", lambda path: mpii.load_predictions(path, 4))):
            path = tmp_path / f"{i}-{name}.mat"
            path.write_bytes(flipped(rng, (tmp_path / f"{name}.mat").read_bytes()))
            if not refused(load, path) and name == "gt":
                assert (load(path).heads > 0).all() and np.isfinite(load(path).joints).all()


def test_fuzz_changed_bundled_weights_are_rejected_by_hash(tmp_path: Path, monkeypatch) -> None:
    torch.save(HRNet(TINY).state_dict(), tmp_path / "whole.pth")
    for i in range(TRIES["weights"] // 2):
        path = tmp_path / f"{i}.pth"
        path.write_bytes(flipped(random.Random(i), (tmp_path / "whole.pth").read_bytes()))
        refused(load_hrnet, path)
    shutil.copytree(models_folder(), tmp_path / "models")
    monkeypatch.setattr("hrpose_rt.nets.zoo.models_folder", lambda: tmp_path / "models")
    for i in range(TRIES["weights"] // 2):
        file = tmp_path / "models" / ("hrnet-w16-lite.onnx" if i % 2 else "hrnet-w16-lite.pth")
        whole = file.read_bytes()
        file.write_bytes(flipped(random.Random(i), whole))
        model = find_model("hrnet-w16-lite", "pose")
        assert model.spec and model.engine
        check = model.weights if file.suffix == ".pth" else lambda m=model: m.spec.check_hash(m.engine)
        assert refused(check), "changed weights are used"
        file.write_bytes(whole)


def test_fuzz_web_requests_leave_server_running(capfd) -> None:
    whole = b"GET /state HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    with WebView() as view:
        port = int(view.url.rstrip("/").rpartition(":")[2])
        for i in range(TRIES["requests"]):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as sent:
                with contextlib.suppress(OSError):
                    sent.sendall(flipped(random.Random(i), whole))
                    sent.shutdown(socket.SHUT_WR)
                    sent.recv(65536)
        with socket.create_connection(("127.0.0.1", port), timeout=5) as sent:
            sent.sendall(whole)
            assert sent.recv(65536).startswith(b"HTTP/1.1 200")
    assert "Traceback" not in capfd.readouterr().err
