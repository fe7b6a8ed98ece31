"""Names and paths."""

import shutil

import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.nets.weights import sha256
from hrpose_rt.nets.zoo import EMBEDDED, find_model, models_folder


@pytest.mark.parametrize(("name", "task"), EMBEDDED.items(), ids=EMBEDDED)
def test_an_embedded_model_is_whole(name, task) -> None:
    model = find_model(name, task)
    assert model.engine.is_file()
    assert model.spec.model == name
    assert model.spec.weights_sha256 == sha256(model.checkpoint)
    assert (models_folder() / f"{name}.md").is_file()


def test_the_embedded_models_are_at_most_45_megabytes() -> None:
    assert sum(path.stat().st_size for path in models_folder().iterdir()) <= 45e6


def test_a_path_is_a_model_too(tmp_path) -> None:
    engine = models_folder() / "hrnet-w16-lite.onnx"
    mine = tmp_path / "mine.onnx"
    shutil.copy(engine, mine)
    with pytest.raises(BadInput, match=r"has no mine\.json beside it"):
        find_model(str(mine), "pose")
    shutil.copy(engine.with_suffix(".json"), tmp_path / "mine.json")
    model = find_model(str(mine), "pose")
    assert (model.name, model.engine, model.checkpoint) == ("mine", mine, None)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "hrnet-w17",
            r"no pose model 'hrnet-w17': choose hrnet-w16-lite, or give the path of a .onnx or .pth",
        ),
        ("gone.pth", r"gone\.pth does not exist: check the path"),
        ("yolo26n-person", "yolo26n-person is a detection network, one for pose is needed here"),
    ],
)
def test_what_is_no_pose_model_is_said(name: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        find_model(name, "pose")
