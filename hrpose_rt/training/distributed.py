"""One process or many: who this one is, and what it says to the others."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from hrpose_rt.errors import BadInput


@dataclass(frozen=True, slots=True)
class DistributedContext:
    """This process among those that train together.

    Attributes:
        rank: Its number; process 0 writes and speaks.
        size: How many there are.
        device: Where it computes.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def main(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def mean(self, value: Tensor) -> float:
        """The mean of a scalar over all processes, the same in each."""
        if self.size > 1:
            value = value.clone()
            distributed.all_reduce(value)
            value /= self.size
        return float(value)

    def wait(self) -> None:
        """Until everybody is here."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def init_distributed(device: str) -> Iterator[DistributedContext]:
    """Join the processes that `torchrun` started, or be alone.

    Args:
        device: "cpu", "cuda", or "auto": CUDA where there is a GPU.

    Raises:
        BadInput: CUDA is asked for and cannot be had.
    """
    gpu = torch.cuda.is_available()
    if device not in ("auto", "cpu", "cuda"):
        raise BadInput(f"there is no device {device!r}: choose auto, cpu or cuda")
    if device == "cuda" and not gpu:
        raise BadInput("PyTorch finds no CUDA GPU here: use `device` cpu, or install its driver")
    use_gpu = gpu and device != "cpu"
    rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if size > 1:
        distributed.init_process_group("nccl" if use_gpu else "gloo")
    if use_gpu:
        torch.cuda.set_device(local)
    try:
        yield DistributedContext(
            rank, size, torch.device("cuda", local) if use_gpu else torch.device("cpu")
        )
    finally:
        if size > 1:
            distributed.destroy_process_group()
