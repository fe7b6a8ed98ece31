"""The spec beside an engine."""

import json

import numpy as np
import pytest

from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.nets.spec import EngineSpec, check_finite

SPEC = EngineSpec("m", "pose", ((256, 192),), "fp32", "abc", "coco17", (64, 48), "dark")


def test_spec_roundtrip(tmp_path) -> None:
    SPEC.save(tmp_path / "m.json")
    assert EngineSpec.load(tmp_path / "m.json") == SPEC


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": 3}, "schema: 3, this version reads up to 2"),
        ({"surplus": 1}, "surplus means nothing here"),
        ({"inputs_hw": 5}, "inputs_hw: expected array, got int"),
        ({"inputs_hw": []}, "inputs_hw: expected array of length >= 1"),
        ({"inputs_hw": [[256, 192.5]]}, r"inputs_hw\[0\]\[1\]: expected int, got float"),
        ({"inputs_hw": [[-1, 64]]}, r"inputs_hw\[0\]\[0\]: expected int >= 1"),
        ({"inputs_hw": [[64, 10**9]]}, r"inputs_hw\[0\]\[1\]: expected int <= 8192"),
        ({"inputs_hw": [[64, 64], [32, 32]]}, "inputs_hw: a pose network has one size"),
        ({"heatmap_hw": [0, 0]}, r"heatmap_hw: \[0, 0\] is no size"),
        ({"skeleton": ""}, "skeleton: a pose network has one"),
        ({"skeleton": None}, "skeleton: expected str, got null"),
        ({"decode": "sharp"}, r"decode: expected str matching regex '\^\(quarter\|dark\|udp\|simcc\)\$'"),
        ({"precision": "fp4"}, "precision: expected str matching"),
        ({"format": 1}, "format: expected str, got int"),
        ({"max_batch": -1}, "max_batch: expected int >= 0"),
        ({"sha256": "../x"}, "sha256: expected str matching"),
        ({"build": {"library": "x"}}, "build: object missing required field version"),
        ({"layers": []}, "layers: expected object, got array"),
        ({"parity": "good"}, "parity: expected object, got str"),
    ],
)
def test_spec_invalid_field_raises_bad_input(change, words, tmp_path) -> None:
    path = tmp_path / "m.json"
    SPEC.save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BadInput, match=f"does not describe an engine .*{words}.*: export the model again"):
        EngineSpec.load(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "it is no JSON"),
        (b"", "it is no JSON"),
        (b"null", "expected object, got null"),
        (b"7", "expected object, got int"),
        (b"[" * 100_000, "it is nested too deeply"),
        (b'{"schema": NaN}', "it is no JSON"),
        (b"\xe9", "can't decode byte 0xe9"),
        (b"\xef\xbb\xbf{}", "schema: 'none', this version reads up to 2"),
    ],
)
def test_spec_of_invalid_json_or_non_object_raises_bad_input(content, words, tmp_path) -> None:
    (tmp_path / "m.json").write_bytes(content)
    with pytest.raises(BadInput, match=rf"m\.json does not describe an engine \(.*{words}"):
        EngineSpec.load(tmp_path / "m.json")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e7])
def test_network_output_nan_inf_or_huge_raises_run_broken(bad) -> None:
    check_finite(np.array([[0.5, -900]], np.float32), "m")
    with pytest.raises(RunBroken, match="m gives numbers that are none, or far too large"):
        check_finite(np.array([[0.5, bad]], np.float32), "m")
