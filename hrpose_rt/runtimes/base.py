"""The seam between pictures and networks: an opened engine."""

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hrpose_rt.errors import last_line
from hrpose_rt.types import F32, U8

if TYPE_CHECKING:
    from torch import Tensor


class Runtime(Protocol):
    """An opened engine.

    Attributes:
        name: "openvino", "onnxruntime" or "torch".
        precision: What it computes in: "fp32", "bf16" or "fp16".
        device: What it computes on: "cpu", "gpu", "npu" or "cuda:0".
    """

    name: str
    precision: str
    device: str

    def warm_up(self, shapes: list[tuple[int, ...]]) -> None:
        """Get ready for batches of these shapes, so that none of them is ever slow the first time."""

    def infer(self, batch: U8) -> F32:
        """Run a batch (B, H, W, 3) of uint8 BGR pictures and return the network's one output.

        The result is on the host when this returns, and valid until the next call.
        """

    def close(self) -> None:
        """Release what it holds."""


class DeviceRuntime(Runtime, Protocol):
    """A runtime whose pictures and answers may stay on the device.

    Attributes:
        batches: The batch sizes it is to meet before the first frame, ascending.
    """

    @property
    def batches(self) -> tuple[int, ...]: ...

    def infer_device(self, crops: "Tensor") -> "Tensor":
        """`infer` of (B, H, W, 3) uint8 on the device; the answer is there too, until the next call.

        In order with PyTorch's current stream: it begins after what that was given before, and what that
        is given next begins after it.
        """


def refused(engine: Path, shape: tuple[int, ...], error: Exception) -> str:
    """Words for a library that did not compute a batch."""
    return (
        f"{engine} could not compute a batch of {' x '.join(map(str, shape))} ({last_line(error)}): "
        "its .json may tell another input_hw than it has, or memory is short; export it again, or free some"
    )
