"""The spec beside an engine."""

import json

import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.runtimes.spec import EngineSpec

SPEC = EngineSpec("m", "pose", ((256, 192),), "fp32", "abc", "coco17", (64, 48), "dark")


def test_a_spec_comes_back_as_it_was_written(tmp_path) -> None:
    SPEC.save(tmp_path / "m.json")
    assert EngineSpec.load(tmp_path / "m.json") == SPEC


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": 3}, "schema 3, this version reads up to 2"),
        ({"surplus": 1}, "surplus"),
        ({"inputs_hw": 5}, "not iterable"),
    ],
)
def test_what_is_wrong_with_a_spec_is_said(change, words, tmp_path) -> None:
    path = tmp_path / "m.json"
    SPEC.save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BadInput, match=f"does not describe an engine .*{words}.*: export the model again"):
        EngineSpec.load(path)


def test_a_spec_that_is_no_json(tmp_path) -> None:
    (tmp_path / "m.json").write_text("{")
    with pytest.raises(BadInput, match="does not describe an engine"):
        EngineSpec.load(tmp_path / "m.json")
