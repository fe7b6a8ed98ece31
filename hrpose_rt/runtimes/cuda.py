"""NVIDIA GPUs through PyTorch: find one, report its errors, run work on a separate stream."""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from hrpose_rt.errors import RunBroken, RuntimeMissing

_OF_A_GPU = ("CUDA", "cuDNN", "NVRTC")  # words in the messages of PyTorch's GPU errors
REPLAY_TOLERANCE = 1e-2  # between the outputs of a graph and of the captured call


def find_cuda(device: str) -> torch.device:
    """Return the GPU of this name with its number; "cuda" is "cuda:0".

    Raises:
        RuntimeMissing: PyTorch sees no such GPU.
    """
    seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
    number = torch.device(device).index or 0
    if number >= seen:
        raise RuntimeMissing(
            f"PyTorch {torch.__version__} sees {seen or 'no'} CUDA devices, {device} was asked for: check "
            "that nvidia-smi lists it and that this PyTorch was built for CUDA, or use `device` cpu"
        )
    return torch.device("cuda", number)


@contextlib.contextmanager
def report_gpu_errors(device: str | torch.device) -> Iterator[None]:
    """Raise a GPU's errors in this block as `RunBroken`; all other errors stay unchanged."""
    try:
        yield
    except RuntimeError as error:
        message = str(error).partition("\n")[0]
        if isinstance(error, torch.OutOfMemoryError):
            raise RunBroken(
                f"the memory of {device} is full: give a smaller model or `max_people`, or end what else "
                f"runs there ({message})"
            ) from error
        if not any(word in message for word in _OF_A_GPU):
            raise
        raise RunBroken(
            f"{device} failed and is lost to this process: start it again, and look at the driver's log if "
            f"it fails again ({message})"
        ) from error


class OwnStream:
    """A separate stream on a GPU, in order with the caller's stream.

    Args:
        device: "cuda" or "cuda:1".

    Attributes:
        device: Device for tensors.
        handle: Address of the stream.

    Raises:
        RuntimeMissing: There is no such GPU.
    """

    def __init__(self, device: str) -> None:
        self.device = find_cuda(device)
        self._stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        self.handle = int(self._stream.cuda_stream)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Make the GPU current and send PyTorch's work in this block to the stream.

        The work starts after what is queued on the caller's stream, and the caller's stream waits for it.
        """
        caller = torch.cuda.current_stream(self.device)
        self._stream.wait_stream(caller)
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:
            caller.wait_stream(self._stream)

    def capture(self, work: Callable[[], None], output: Tensor, pool: Any = None) -> Callable[[], None]:
        """Capture `work` as a CUDA graph; call this and the result inside `running`.

        The graph is replayed and compared with the last call of `work`.

        Args:
            work: It has run once, and always writes to the same memory.
            output: What it wrote.
            pool: Memory that graphs which never run at the same time share, from
                `torch.cuda.graph_pool_handle`.

        Returns:
            The graph's replay, or `work` itself if it cannot be captured or its replay differs.
        """
        expected = output.cpu()
        graph = torch.cuda.CUDAGraph()
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*CUDA Graph is empty")  # the replay shows it
                # Other threads may allocate memory meanwhile.
                with torch.cuda.graph(graph, pool, self._stream, capture_error_mode="thread_local"):
                    work()
        except (RuntimeError, RunBroken):  # it waits, allocates memory, or cannot be captured
            return work
        output.fill_(torch.nan)
        graph.replay()
        same = torch.allclose(
            output.cpu(), expected, rtol=REPLAY_TOLERANCE, atol=REPLAY_TOLERANCE, equal_nan=True
        )
        return graph.replay if same else work

    def wait(self) -> None:
        """Wait until the stream has finished its work."""
        self._stream.synchronize()


def infer_device_in_parts(infer: Callable[[Tensor], Tensor], crops: Tensor, largest: int) -> Tensor:
    """Run crops (N, ...) in batches of at most `largest`, and join copies of the outputs."""
    return torch.cat([infer(part).clone() for part in torch.split(crops, largest)])
