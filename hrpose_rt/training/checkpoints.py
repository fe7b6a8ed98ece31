"""Checkpoints of a training run, written atomically so that a run can resume after any interruption."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hrpose_rt.errors import BadInput, CheckpointMismatch, last_line
from hrpose_rt.nets.checkpoints import UNREADABLE, StateDict, load_state
from hrpose_rt.nets.hrnet import HRNet
from hrpose_rt.nets.spec import EngineSpec, spec_path
from hrpose_rt.paths import atomic_write, sha256
from hrpose_rt.pose.targets import TARGET_DECODERS
from hrpose_rt.training.config import TrainSettings

LAST, BEST = "last.pth", "best.pth"
HEAD = "final_layer.weight"


@dataclass(slots=True)
class Progress:
    """Progress of a run.

    Attributes:
        step: Number of steps done.
        best: The best selection score in this stage so far; -1 for none.
        best_epoch: The epoch of the best score, counted over the whole run.
    """

    step: int = 0
    best: float = -1.0
    best_epoch: int = -1


class Ema:
    """Exponential moving average of the weights; validation and `best.pth` use it.

    Args:
        net: The network to average.
        decay: Weight of the old average at each step; 0 copies the network.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        self._decay = decay
        self.state = {name: tensor.detach().clone() for name, tensor in net.state_dict().items()}

    def update(self, net: nn.Module, step: int) -> None:
        """Update the average after `step` steps; in early steps the decay is smaller."""
        keep = min(self._decay, (1 + step) / (10 + step)) if self._decay else 0.0
        state = net.state_dict()
        average = [t for t in self.state.values() if t.is_floating_point()]
        torch._foreach_lerp_(average, [t for t in state.values() if t.is_floating_point()], 1 - keep)
        for name, tensor in state.items():
            if not tensor.is_floating_point():  # counters of batch norms
                self.state[name].copy_(tensor)


def save_last(
    folder: Path, settings: TrainSettings, net: nn.Module, ema: Ema, optimizer: Any, progress: Progress
) -> None:
    """Save everything a run needs to resume."""
    state = {
        "settings": json.dumps(settings.as_json()),
        "state_dict": net.state_dict(),
        "ema": ema.state,
        "optimizer": optimizer.state_dict(),
        "progress": {"step": progress.step, "best": progress.best, "best_epoch": progress.best_epoch},
    }
    _save(state, folder / LAST)


def load_last(folder: Path, settings: TrainSettings, net: nn.Module, ema: Ema, optimizer: Any) -> Progress:
    """Restore a run; raise BadInput if the folder has no run or one with other settings."""
    path = folder / LAST
    if not path.is_file():
        raise BadInput(f"{folder} has no {LAST} to go on from: leave out `resume`")
    try:
        state = torch.load(path, map_location=next(net.parameters()).device, weights_only=True)
        differing = settings.differences(json.loads(state["settings"]))
    except (*UNREADABLE, TypeError, AttributeError) as error:
        raise BadInput(
            f"{path} is broken or of no run ({last_line(error)}): give another `folder`"
        ) from error
    if differing:
        raise BadInput(
            f"{folder} was begun with other settings ({', '.join(differing)}): give the same ones, "
            "or another `folder`"
        )
    try:
        net.load_state_dict(state["state_dict"])
        optimizer.load_state_dict(state["optimizer"])
        for name, tensor in state["ema"].items():
            ema.state[name].copy_(tensor)
        return Progress(**state["progress"])
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(
            f"{path} is of another network ({last_line(error)}): give another `folder`"
        ) from error


def save_best(folder: Path, settings: TrainSettings, stage: int, skeleton: str, state: StateDict) -> None:
    """Save a plain state dict, with its spec beside it."""
    path, stage_settings = folder / BEST, settings.stages[stage]
    _save({name: tensor.cpu() for name, tensor in state.items()}, path)
    spec = EngineSpec(
        model=settings.model,
        task="pose",
        inputs_hw=(stage_settings.input_hw,),
        precision="fp32",
        weights_sha256=sha256(path),
        skeleton=skeleton,
        heatmap_hw=stage_settings.heatmap_hw,
        decode=TARGET_DECODERS[settings.recipe.targets],
    )
    spec.save(spec_path(path))


def start_from(net: HRNet, path: Path) -> list[str]:
    """Load the tensors of a checkpoint that fit: a whole network, or an ImageNet backbone.

    A head of 1x1 convolutions becomes the centre of a wider one, which then computes the same.

    Returns:
        The names of the network's tensors that were not loaded.

    Raises:
        CheckpointMismatch: More than a tenth of the network's tensors do not fit.
    """
    state, expected = load_state(path), net.state_dict()
    head, side = state.get(HEAD), expected[HEAD].shape[-1]
    if head is not None and head.shape[2:] == (1, 1):
        state[HEAD] = torch.nn.functional.pad(head, [side // 2] * 4)
    fitting = {n: t for n, t in state.items() if n in expected and t.shape == expected[n].shape}
    missing = [name for name in expected if name not in fitting]
    if len(missing) > len(expected) // 10:
        raise CheckpointMismatch(
            f"{path} is no start for this network: {len(missing)} of its {len(expected)} tensors are "
            f"missing there or have another shape, the first is {missing[0]}"
        )
    net.load_state_dict(fitting, strict=False)
    return missing


def _save(state: dict[str, Any], path: Path) -> None:
    with atomic_write(path) as file:
        torch.save(state, file)
