"""Checkpoints -> networks: loaded strictly, without running code from the file."""

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hrpose_rt.errors import BadInput, CheckpointMismatch, RuntimeMissing, install_hint
from hrpose_rt.nets.hrnet_config import HRNetConfig

if TYPE_CHECKING:
    from torch import Tensor

    from hrpose_rt.nets.hrnet import HRNet

StateDict = dict[str, "Tensor"]
# What torch.load raises for truncated files and files of other formats.
UNREADABLE = (pickle.UnpicklingError, OSError, RuntimeError, EOFError, ValueError, KeyError, IndexError)


def load_hrnet(path: Path) -> "tuple[HRNet, HRNetConfig]":
    """The HRNet in a checkpoint; its configuration is read from the tensors.

    Raises:
        BadInput: The file is missing, broken, or holds more than tensors.
        CheckpointMismatch: It holds another network.
        RuntimeMissing: PyTorch is not installed.
    """
    state = load_state(path)
    config = infer_config(state, path)
    from hrpose_rt.nets.hrnet import HRNet

    net = HRNet(config)
    expected = net.state_dict()
    wrong = [
        f"{name} is {shape_of(state, name)}, {shape_of(expected, name)} was wanted"
        for name in [*expected, *(name for name in state if name not in expected)]
        if shape_of(state, name) != shape_of(expected, name)
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise CheckpointMismatch(
            f"{path} is not an HRNet of width {config.width}: {'; '.join(wrong[:3])}{more}"
        )
    net.load_state_dict(state, strict=True)
    return net.eval(), config


def load_state(path: Path) -> StateDict:
    """The tensors of a checkpoint by their official names.

    Reads plain state dicts, the original's training checkpoints (`state_dict` among other entries,
    `module.`), OpenMMLab's of both generations (`backbone.`, `head.` or `keypoint_head.`, with `meta`) and
    safetensors files.
    """
    try:
        import torch
    except ImportError as error:
        raise RuntimeMissing(f"{path.name} is a PyTorch checkpoint: {install_hint('train')}") from error
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            loaded: Any = load_file(path)
        else:
            # OpenMMLab's `meta` holds NumPy arrays: allow those and nothing else.
            with torch.serialization.safe_globals(_numpy_types()):
                loaded = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist: check the path") from error
    except pickle.UnpicklingError as error:
        raise BadInput(
            f"{path} was refused because it holds more than tensors, and loading it could run code: "
            "save its state_dict alone"
        ) from error
    except (*UNREADABLE, _safetensors_error()) as error:
        raise BadInput(
            f"{path} cannot be read as a checkpoint, it may be truncated: fetch it again"
        ) from error
    if isinstance(loaded, dict) and isinstance(loaded.get("state_dict"), dict):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, dict) or not all(
        isinstance(name, str) and torch.is_tensor(tensor) for name, tensor in loaded.items()
    ):
        raise CheckpointMismatch(f"{path} holds no state dict: save the network's state_dict()")
    if strange := next((name for name, tensor in loaded.items() if not _is_whole(tensor)), None):
        raise CheckpointMismatch(
            f"{path} does not hold every number of {strange}: save the network's state_dict() as it is"
        )
    return {
        _official(name): tensor
        for name, tensor in loaded.items()
        if not name.startswith("data_preprocessor.")  # OpenMMLab's mean and std
    }


def infer_config(state: StateDict, path: Path) -> HRNetConfig:
    """Read an HRNet's configuration from its tensors.

    Raises:
        CheckpointMismatch: Tensors that every HRNet has are missing.
    """
    try:
        return HRNetConfig(
            width=len(state["transition1.0.0.weight"]),
            modules=(_count(state, "stage2"), _count(state, "stage3"), _count(state, "stage4")),
            blocks=_count(state, "stage2.0.branches.0"),
            stem=len(state["conv1.weight"]),
            first_blocks=_count(state, "layer1"),
            first_planes=len(state["layer1.0.conv1.weight"]),
            joints=len(state["final_layer.weight"]),
            head_kernel=state["final_layer.weight"].shape[-1],
        )
    except KeyError as error:
        raise CheckpointMismatch(
            f"{path} holds another architecture than HRNet: it has no {error.args[0]}, its first tensor "
            f"is {next(iter(state), 'missing')}"
        ) from error


def shape_of(state: StateDict, name: str) -> str:
    """The shape of a tensor as text; "missing" if there is no such tensor."""
    return str(tuple(state[name].shape)) if name in state else "missing"


def _count(state: StateDict, prefix: str) -> int:
    """The number of numbered children of `prefix`."""
    parts = len(prefix.split("."))
    numbers = {n.split(".")[parts] for n in state if n.startswith(prefix + ".")}
    if not numbers:
        raise KeyError(prefix)
    return len(numbers)


def _is_whole(tensor: "Tensor") -> bool:
    """Whether all values are in memory; False for sparse tensors and views that repeat fewer values."""
    import torch

    strided = tensor.layout == torch.strided and tensor.device.type == "cpu"
    return strided and tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


def _official(name: str) -> str:
    """The official name of a tensor that a wrapper or OpenMMLab renamed."""
    for prefix in ("module.", "backbone.", "keypoint_head.", "head."):
        name = name.removeprefix(prefix)
    return name


def _numpy_types() -> list[Any]:
    """The types in a pickled NumPy array, under the names of NumPy 1 and 2."""
    from numpy._core import multiarray

    builders = (multiarray._reconstruct, multiarray.scalar)
    old_names = [(item, f"numpy.core.multiarray.{item.__name__}") for item in builders]
    dtypes = [type(np.dtype(code)) for code in ("f4", "f8", "i4", "i8", "u1", "?", "U1")]
    return [np.ndarray, np.dtype, *builders, *old_names, *dtypes]


def _safetensors_error() -> type[Exception]:
    """The error safetensors raises for a broken file; `OSError` if it is not installed."""
    try:
        from safetensors import SafetensorError
    except ImportError:
        return OSError
    error: type[Exception] = SafetensorError
    return error
