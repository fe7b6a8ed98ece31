"""Checkpoints load strictly or not at all."""

from pathlib import Path

import numpy as np
import pytest
import torch

from hrpose_rt.errors import BadInput, CheckpointMismatch
from hrpose_rt.nets.checkpoints import load_hrnet
from hrpose_rt.nets.hrnet import HRNet
from hrpose_rt.nets.hrnet_config import W16_LITE
from hrpose_rt.paths import models_folder, sha256
from tests.nets.test_hrnet import TINY


@pytest.fixture
def net() -> HRNet:
    torch.manual_seed(0)
    return HRNet(TINY).eval()


def save(content: object, folder: Path) -> Path:
    path = folder / "net.pth"
    torch.save(content, path)
    return path


META = {
    "dataset_meta": {"sigmas": np.arange(17, dtype=np.float32), "pairs": np.array([[1, 2]])},
    "mean": np.float64(0.5),
}


def under(prefix: str, state: dict) -> dict:
    return {f"{prefix}{name}": value for name, value in state.items()}


def openmmlab(state: dict, head: str) -> dict:
    """The tensors as OpenMMLab calls them."""
    named = {f"{head if 'final' in name else 'backbone.'}{name}": value for name, value in state.items()}
    return named | {"data_preprocessor.mean": torch.zeros(3, 1, 1)}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {f"module.{name}": value for name, value in state.items()},
        lambda state: {"state_dict": {f"module.{name}": value for name, value in state.items()}},
        lambda state: {
            "state_dict": under("module.", state),
            "best_state_dict": state,
            "model": "pose_hrnet",
        },
        lambda state: {"state_dict": openmmlab(state, "keypoint_head."), "meta": {"epoch": 210}},
        lambda state: {"state_dict": openmmlab(state, "head."), "meta": META},
    ],
    ids=[
        "plain",
        "state_dict",
        "module",
        "both",
        "the original's training",
        "OpenMMLab v0",
        "OpenMMLab v1",
    ],
)
def test_checkpoint_state_dict_module_and_openmmlab_layouts_load(wrap, net, tmp_path) -> None:
    loaded, config = load_hrnet(save(wrap(net.state_dict()), tmp_path))
    assert config == TINY
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(x), net(x))


def test_checkpoint_safetensors_loads_and_truncated_file_raises(net, tmp_path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "net.safetensors"
    save_file(net.state_dict(), path)
    loaded, config = load_hrnet(path)
    assert config == TINY
    assert torch.equal(loaded.conv1.weight, net.conv1.weight)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(BadInput, match=r"net\.safetensors cannot be read as a checkpoint"):
        load_hrnet(path)


def test_checkpoint_embedded_is_w16_lite_and_not_in_training_mode() -> None:
    loaded, config = load_hrnet(models_folder() / "hrnet-w16-lite.pth")
    assert config == W16_LITE
    assert not loaded.training


def test_checkpoint_of_other_architecture_raises_mismatch(tmp_path) -> None:
    path = save(torch.nn.Conv2d(3, 8, 3).state_dict(), tmp_path)
    with pytest.raises(CheckpointMismatch, match=r"another architecture than HRNet: it has no transition1"):
        load_hrnet(path)


def test_checkpoint_mismatch_names_first_wrong_tensors(net, tmp_path) -> None:
    state = net.state_dict()
    state["stage2.0.branches.0.0.bn1.weight"] = torch.zeros(5)
    del state["bn2.bias"]
    state["surplus"] = torch.zeros(1)
    with pytest.raises(CheckpointMismatch) as error:
        load_hrnet(save(state, tmp_path))
    for words in (
        "bn2.bias is missing, (8,) was wanted",
        "stage2.0.branches.0.0.bn1.weight is (5,), (4,) was wanted",
        "surplus is (1,), missing was wanted",
    ):
        assert words in str(error.value)


def test_checkpoint_without_state_dict_raises_mismatch(tmp_path) -> None:
    with pytest.raises(CheckpointMismatch, match="holds no state dict"):
        load_hrnet(save([1, 2, 3], tmp_path))


class Bomb:
    """What a hostile checkpoint would hold: unpickling it touches a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def test_checkpoint_pickle_with_code_is_refused_without_running_it(tmp_path) -> None:
    touched = tmp_path / "touched"
    with pytest.raises(BadInput, match="refused because it holds more than tensors"):
        load_hrnet(save({"state_dict": Bomb(touched)}, tmp_path))
    assert not touched.exists()


def test_checkpoint_truncated_or_missing_raises_bad_input(net, tmp_path) -> None:
    path = save(net.state_dict(), tmp_path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(BadInput, match=r"net\.pth cannot be read as a checkpoint"):
        load_hrnet(path)
    with pytest.raises(BadInput, match=r"none\.pth does not exist"):
        load_hrnet(tmp_path / "none.pth")


def test_sha256_hash_of_empty_file(tmp_path) -> None:
    (tmp_path / "empty").touch()
    assert sha256(tmp_path / "empty").startswith("e3b0c442")


@pytest.mark.parametrize("name", [0, None, b"conv1", ("conv1", "weight")])
def test_checkpoint_non_string_keys_raise_mismatch(name, net, tmp_path) -> None:
    with pytest.raises(CheckpointMismatch, match="holds no state dict"):
        load_hrnet(save({**net.state_dict(), name: torch.zeros(1)}, tmp_path))


@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
@pytest.mark.parametrize(
    "tensor", [torch.zeros(1).expand(10**14), torch.zeros(9).to_sparse()], ids=["expanded", "sparse"]
)
def test_checkpoint_expanded_or_sparse_tensor_raises_mismatch(tensor, net, tmp_path) -> None:
    with pytest.raises(CheckpointMismatch, match=r"does not hold every number of bn1\.bias"):
        load_hrnet(save({**net.state_dict(), "bn1.bias": tensor}, tmp_path))
