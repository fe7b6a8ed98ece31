"""The samples that are not the demo."""

import importlib.util
from pathlib import Path

import cv2
import numpy as np

from hrpose_rt.evaluation.annotations import load_people
from tests.training.people_set import write_set

SAMPLES = Path(__file__).parents[1] / "samples"


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, SAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_sample_detector_dataset_is_in_ultralytics_format(tmp_path: Path) -> None:
    people = load_people(write_set(tmp_path / "set", people=30))
    file = load("train_person_detector").write_data(people, tmp_path / "data")
    assert "0: person" in file.read_text()
    labels = sorted((tmp_path / "data" / "labels").rglob("*.txt"))
    pictures = sorted((tmp_path / "data" / "images").rglob("*.png"))
    assert len(labels) == len(pictures) == 30
    assert sum("val" in str(path) for path in labels) == people.held_out(10).sum()
    for label, picture in zip(labels, pictures, strict=True):
        assert label.stem == picture.stem and label.parent.name == picture.parent.name
        assert cv2.imread(str(picture)).shape == (96, 96, 3)
        # The box from 10 to 85 in a picture of 96.
        np.testing.assert_allclose(np.loadtxt(label), [0, *(47.5 / 96,) * 2, *(75 / 96,) * 2], rtol=1e-5)
