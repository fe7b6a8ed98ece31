"""Training in one process or several: this process's rank, and communication with the others."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed

from hrpose_rt.errors import BadInput

WAIT = timedelta(hours=2)  # process 0 validates while the others wait for it


@dataclass(frozen=True, slots=True)
class DistributedContext:
    """This process within a distributed run.

    Attributes:
        rank: Its number; process 0 writes files and logs.
        size: Number of processes.
        device: The device it computes on.
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
        """Wait until all processes reach this point."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def init_distributed(device: str) -> Iterator[DistributedContext]:
    """Join the processes that `torchrun` started; without it, run as a single process.

    Args:
        device: "cpu", "cuda", or "auto": CUDA if there is a GPU.

    Raises:
        BadInput: CUDA is requested but not available.
    """
    gpu = torch.cuda.is_available()
    if device not in ("auto", "cpu", "cuda"):
        raise BadInput(f"there is no `device` {device!r}: choose auto, cpu or cuda")
    if device == "cuda" and not gpu:
        raise BadInput("PyTorch finds no CUDA GPU here: use `device` cpu, or install its driver")
    use_gpu = gpu and device != "cpu"
    rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    own = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if use_gpu else torch.device("cpu")
    if use_gpu:
        torch.cuda.set_device(own)
    if size > 1:
        distributed.init_process_group(
            "nccl" if use_gpu else "gloo", timeout=WAIT, device_id=own if use_gpu else None
        )
    try:
        yield DistributedContext(rank, size, own)
    finally:
        if size > 1:
            distributed.destroy_process_group()
