"""Compiled OpenVINO graphs are kept, and loaded at the next start."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hrpose_rt.nets.zoo import find_model
from hrpose_rt.runtimes.open import open_engine
from hrpose_rt.runtimes.ov_cache import DIGEST_BYTES, compiled_file

SHAPE = (1, 256, 192, 3)


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HRPOSE_HOME", str(tmp_path))
    return tmp_path / "compiled"


def heatmaps(monkeypatch) -> tuple[np.ndarray, int]:
    """Of one crop, and how many graphs had to be compiled for it."""
    import openvino

    compiled: list[Any] = []
    compile_model = openvino.Core.compile_model

    def counted(*args, **kwargs):
        compiled.append(args)
        return compile_model(*args, **kwargs)

    monkeypatch.setattr(openvino.Core, "compile_model", counted)
    runtime, _ = open_engine(find_model("hrnet-w16-lite", "pose"), "pose", "openvino", "fp32")
    crop = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)
    result = runtime.infer(crop).copy()
    runtime.close()
    monkeypatch.setattr(openvino.Core, "compile_model", compile_model)
    return result, len(compiled)


def test_second_start_loads_what_the_first_compiled(home, monkeypatch) -> None:
    first, compiled = heatmaps(monkeypatch)
    assert compiled == 1
    assert [file.suffix for file in home.iterdir()] == [".blob"]
    second, compiled = heatmaps(monkeypatch)
    assert compiled == 0
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("damage", ["cut", "flipped", "nonsense"])
def test_a_damaged_graph_is_compiled_again(damage: str, home, monkeypatch) -> None:
    first, _ = heatmaps(monkeypatch)
    (file,) = home.iterdir()
    data = bytearray(file.read_bytes())
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "flipped":
        data[DIGEST_BYTES + 1000] ^= 1
    else:
        data = bytearray(b"nonsense")
    file.write_bytes(data)
    again, compiled = heatmaps(monkeypatch)
    assert compiled == 1
    np.testing.assert_array_equal(first, again)
    assert heatmaps(monkeypatch)[1] == 0


def test_a_folder_that_cannot_be_made_costs_only_time(home, monkeypatch) -> None:
    home.write_text("a file where the folder would be")
    first, compiled = heatmaps(monkeypatch)
    second, compiled_again = heatmaps(monkeypatch)
    assert compiled == compiled_again == 1
    np.testing.assert_array_equal(first, second)


def test_graphs_are_kept_apart_by_engine_shape_hints_and_library(home, monkeypatch) -> None:
    hints = {"INFERENCE_PRECISION_HINT": "f32"}
    files = {
        compiled_file("a", SHAPE, hints),
        compiled_file("b", SHAPE, hints),
        compiled_file("a", (2, *SHAPE[1:]), hints),
        compiled_file("a", SHAPE, {"INFERENCE_PRECISION_HINT": "bf16"}),
    }
    monkeypatch.setattr("openvino.get_version", lambda: "another")
    files.add(compiled_file("a", SHAPE, hints))
    assert len(files) == 5
    assert compiled_file("a", SHAPE, hints) == compiled_file("a", SHAPE, hints)
