"""PyTorch, operation by operation: the reference that every other runtime is compared with."""

import contextlib
from typing import Any

import numpy as np
import torch
from torch import nn

from hrpose_rt.types import F32, U8


class EagerRuntime:
    """A module that takes (B, H, W, 3) uint8 pictures, on the CPU.

    Args:
        module: Returns one tensor.
        precision: "fp32", "bf16" (autocast), or "auto": bf16 where the CPU has it.
        threads: Cores to use; PyTorch keeps this number for the whole process.
    """

    name = "torch"

    def __init__(self, module: nn.Module, precision: str, threads: int) -> None:
        if precision == "auto":
            precision = "bf16" if _cpu_has_bf16() else "fp32"
        self.precision = precision
        torch.set_num_threads(threads)
        self._module = module.eval().to(memory_format=torch.channels_last)

    def warm(self, shapes: list[tuple[int, ...]]) -> None:
        """Run each shape once."""
        for shape in shapes:
            self.infer(np.zeros(shape, np.uint8))

    def infer(self, batch: U8) -> F32:
        """See `Runtime.infer`."""
        cast: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
        if self.precision == "bf16":
            cast = torch.autocast("cpu", torch.bfloat16)
        with torch.inference_mode(), cast:
            output = self._module(torch.from_numpy(batch))
        heatmaps: F32 = output.float().contiguous().numpy()
        return heatmaps

    def close(self) -> None:
        """Nothing is held but memory."""


def _cpu_has_bf16() -> bool:
    supported: bool = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return supported
