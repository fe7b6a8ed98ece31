"""PyTorch on an NVIDIA GPU, as CUDA graphs."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hrpose_rt.errors import RunBroken
from hrpose_rt.runtimes.base import GPU_BATCHES
from hrpose_rt.runtimes.cuda import OwnStream, infer_device_in_parts, report_gpu_errors
from hrpose_rt.runtimes.torch_eager import EagerRuntime


class _Step(NamedTuple):
    source: Tensor
    run: Callable[[], None]
    output: Tensor


class GraphRuntime(EagerRuntime):
    """A module as one CUDA graph for each batch size and input size, captured at its first use.

    Launching the kernels of an HRNet takes the host longer than a GPU takes to run them; a graph launches
    them all at once. A batch between two sizes uses the larger one. A batch above the largest size is
    split. What cannot be captured runs in eager mode.

    Args:
        module, precision, threads, device: See `EagerRuntime`; the device is "cuda" or "cuda:1".

    Raises:
        RuntimeMissing: PyTorch sees no such GPU.
    """

    batches = GPU_BATCHES

    def __init__(self, module: nn.Module, precision: str, threads: int, device: str = "cuda") -> None:
        super().__init__(module, precision, threads, device)
        self._cuda = OwnStream(device)
        self._pool = torch.cuda.graph_pool_handle()  # one memory for all: they never run at the same time
        self._steps: dict[tuple[int, ...], _Step] = {}
        self._kept: list[Tensor] = []
        self._closed = False

    def infer_device(self, crops: Tensor) -> Tensor:
        """See `DeviceRuntime.infer_device`; raises `RunBroken` after `close`."""
        if self._closed:
            raise RunBroken("this PyTorch network was closed: open it again")
        n, largest = len(crops), self.batches[-1]
        if n > largest:
            return infer_device_in_parts(self.infer_device, crops, largest)
        shape = (next(size for size in self.batches if size >= n), *crops.shape[1:])
        with report_gpu_errors(self._device), torch.inference_mode(), self._cuda.running():
            step = self._steps.get(shape) or self._add(shape)
            step.source[:n].copy_(crops)
            step.run()
            return step.output[:n]

    def _add(self, shape: tuple[int, ...]) -> _Step:
        """Capture the network for inputs (B, H, W, 3)."""
        source = torch.randint(0, 256, shape, dtype=torch.uint8, device=self._device)
        output = super().infer_device(source).clone()  # the first call also does its setup

        def work() -> None:
            output.copy_(super(GraphRuntime, self).infer_device(source))

        work()
        run = self._cuda.capture(work, output, self._pool)
        # The anchors of Ultralytics' heads are plain attributes, which the next input size replaces.
        # The graph goes on reading these.
        self._kept += [
            value
            for module in self._module.modules()
            for value in vars(module).values()
            if isinstance(value, Tensor)
        ]
        self._steps[shape] = step = _Step(source, run, output)
        return step

    def close(self) -> None:
        """Finish the running work, then release the graphs. A second call does nothing."""
        if not self._closed:
            self._closed = True
            with report_gpu_errors(self._device):
                self._cuda.wait()
            self._steps.clear()
            self._kept.clear()
