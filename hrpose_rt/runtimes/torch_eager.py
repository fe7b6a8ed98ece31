"""PyTorch in eager mode: the reference that every other runtime is compared with."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hrpose_rt.runtimes.cuda import find_cuda, report_gpu_errors
from hrpose_rt.types import F32, U8

WARM_BATCHES = (1, 2, 4, 8, 16, 32, 64)  # other sizes are a little slower the first time
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_ROUNDED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)  # layers that autocast computes in 16 bits


class EagerRuntime:
    """A module that takes (B, H, W, 3) uint8 images.

    Args:
        module: Returns one tensor. It is changed: 16-bit precisions round its weights.
        precision: "fp32", or "bf16" and (on CUDA) "fp16" by autocast, or "auto": fp16 on CUDA, bf16 if
            the CPU supports it, else fp32.
        threads: Cores to use; after each call PyTorch's previous number is restored.
        device: "cpu", "cuda" or "cuda:1".

    Raises:
        RuntimeMissing: PyTorch sees no such GPU.
    """

    name = "torch"
    batches: tuple[int, ...] = WARM_BATCHES

    def __init__(self, module: nn.Module, precision: str, threads: int, device: str = "cpu") -> None:
        self._device, self.device = torch.device(device), device
        if self._device.type == "cuda":
            self._device = find_cuda(device)
            precision = "fp16" if precision == "auto" else precision
        elif precision == "auto":
            precision = "bf16" if _cpu_has_bf16() else "fp32"
        self.precision = precision
        self._threads = threads
        self._module = module.eval().to(memory_format=torch.channels_last).to(self._device)
        if precision in _TYPES:  # otherwise autocast rounds these weights at every call
            for layer in self._module.modules():
                if isinstance(layer, _ROUNDED):
                    layer.to(_TYPES[precision])

    def warm_up(self, shapes: list[tuple[int, ...]]) -> None:
        """Run each shape once."""
        for shape in shapes:
            self.infer(np.zeros(shape, np.uint8))

    def infer(self, batch: U8) -> F32:
        """See `Runtime.infer`."""
        with report_gpu_errors(self._device):
            output = self.infer_device(torch.from_numpy(batch).to(self._device))
            heatmaps: F32 = output.float().contiguous().cpu().numpy()
        return heatmaps

    def infer_device(self, crops: Tensor) -> Tensor:
        """See `DeviceRuntime.infer_device`."""
        cast: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
        if self.precision in _TYPES:
            cast = torch.autocast(self._device.type, _TYPES[self.precision])
        with torch.inference_mode(), cast, _without_tf32(), _threads(self._threads):
            output: Tensor = self._module(crops)
        return output

    def close(self) -> None:
        """Do nothing: the runtime holds only memory."""


@contextlib.contextmanager
def _threads(number: int) -> Iterator[None]:
    """Set PyTorch's number of threads in this block. It is global, and other code may have set it."""
    previous = torch.get_num_threads()
    if previous == number:
        yield
        return
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(previous)


@contextlib.contextmanager
def _without_tf32() -> Iterator[None]:
    """Keep convolutions in full fp32 in this block; on a GPU, PyTorch otherwise rounds to 10 bits."""
    previous = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = previous


def _cpu_has_bf16() -> bool:
    supported: bool = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return supported
