"""The interface of an opened engine."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hrpose_rt.errors import last_line
from hrpose_rt.types import F32, U8

if TYPE_CHECKING:
    from torch import Tensor

# Batch sizes on a GPU. A batch between two sizes is padded to the larger one; the sizes that are no powers
# of two halve the padding of crowds.
GPU_BATCHES = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64)


class Runtime(Protocol):
    """An opened engine.

    Attributes:
        name: "openvino", "onnxruntime", "tensorrt", "torch" or "triton".
        precision: "fp32", "bf16", "fp16" or "int8".
        device: "cpu", "gpu", "npu", "cuda:0" or "server".
    """

    name: str
    precision: str
    device: str

    def warm_up(self, shapes: list[tuple[int, ...]]) -> None:
        """Prepare for batches of these shapes, so that the first run of each is not slow."""

    def infer(self, batch: U8) -> F32:
        """Run a batch (B, H, W, 3) of uint8 BGR images and return the network's one output.

        The result is on the host when this returns. It is valid until the next call.
        """

    def close(self) -> None:
        """Release its resources."""


class DeviceRuntime(Runtime, Protocol):
    """A runtime whose input and output can stay on the device.

    Attributes:
        batches: Batch sizes to run before the first frame, ascending.
    """

    @property
    def batches(self) -> tuple[int, ...]: ...

    def infer_device(self, crops: "Tensor") -> "Tensor":
        """Run a batch (B, H, W, 3) uint8 on the device; the output stays there, valid until the next call.

        It runs in order with PyTorch's current stream: after the work queued before this call, and before
        the work queued after it.
        """


def infer_in_parts(infer: Callable[[U8], F32], batch: U8, largest: int) -> F32:
    """Run images (N, H, W, 3) in batches of at most `largest`, and join copies of the outputs."""
    if len(batch) <= largest:
        return infer(batch)
    parts = [batch[start : start + largest] for start in range(0, len(batch), largest)]
    return np.concatenate([infer(part).copy() for part in parts])


def refused(engine: Path, shape: tuple[int, ...], error: Exception) -> str:
    """The message for a batch that a library failed to compute."""
    return (
        f"{engine} could not compute a batch of {' x '.join(map(str, shape))} ({last_line(error)}): "
        "its .json may tell another input_hw than it has, or memory is short; export it again, or free some"
    )
