"""`hrpose-rt train` from the outside: what it refuses, before anything is computed."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from hrpose_rt.cli.main import build_app
from hrpose_rt.errors import BadInput
from hrpose_rt.paths import models_folder
from tests.training.people_set import write_set


def train(*options: object) -> None:
    CliRunner().invoke(build_app(), ["train", *map(str, options)], catch_exceptions=False)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--recipe", "best"], "no `recipe` 'best': choose original or modern"),
        (["--model", "resnet"], "no model 'resnet' to train: choose hrnet-w16-lite"),
        (["--stages", "100x75:3"], "'100x75:3' is no stage"),
        (["--precision", "int8"], "no precision 'int8' to train: choose fp32, bf16"),
        (["--device", "tpu"], "no `device` 'tpu': choose auto, cpu or cuda"),
        (["--val", "gone.json"], "gone.json does not exist: check the path, or set HRPOSE_DATA"),
        (["--data", "a.json:b:c:d"], "is no set of data: write ANNOTATIONS"),
        (["--hold-out", "1000"], "the data have nobody to judge by"),
        (["--hold-out", "0"], "`hold_out` is 0: give 2 or more"),
        (["--seed", "-1"], "`seed` is -1: give 0 or more"),
        (["--save-every", "0"], "`save_every` is 0: give 1 step or more"),
        (["--init", "gone.pth"], "gone.pth does not exist: check the path"),
        (
            ["--init", str(models_folder() / "hrnet-w16-lite.onnx")],
            "engines of hrnet-w16-lite and not the checkpoint",
        ),
        (["--teacher", "nobody"], "there is no pose model 'nobody'"),
        (["--resume"], r"has no last\.pth to go on from: leave out `resume`"),
    ],
)
def test_train_rejects_invalid_options(tmp_path: Path, options, words) -> None:
    file = write_set(tmp_path / "set", people=3)
    if not {"--val", "--hold-out"} & set(options):
        options = [*options, "--val", str(file)]
    with pytest.raises(BadInput, match=words):
        train("--data", file, "--output", tmp_path / "run", *options)


def test_train_device_cuda_without_gpu_raises_bad_input(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    file = write_set(tmp_path / "set", people=3)
    with pytest.raises(BadInput, match="PyTorch finds no CUDA GPU here: use `device` cpu"):
        train("--data", file, "--val", file, "--output", tmp_path / "run", "--device", "cuda")
