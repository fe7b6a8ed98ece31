"""An NVIDIA GPU by way of PyTorch: whether it is here, its errors in words, and a stream of one's own."""

import contextlib
import warnings
from collections.abc import Callable, Iterator

import torch

from hrpose_rt.errors import RunBroken, RuntimeMissing

_OF_A_GPU = ("CUDA", "cuDNN", "NVRTC")  # in the words of PyTorch's errors


def find_cuda(device: str) -> torch.device:
    """The GPU of that name with its number, "cuda" being "cuda:0".

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
def errors_said(device: str | torch.device) -> Iterator[None]:
    """Inside, a GPU's errors are `RunBroken`; all others stay as they are."""
    try:
        yield
    except RuntimeError as error:
        said = str(error).partition("\n")[0]
        if isinstance(error, torch.OutOfMemoryError):
            raise RunBroken(
                f"the memory of {device} is full: give a smaller model or `max_people`, or end what else "
                f"runs there ({said})"
            ) from error
        if not any(word in said for word in _OF_A_GPU):
            raise
        raise RunBroken(
            f"{device} failed and is lost to this process: start it again, and look at the driver's log if "
            f"it fails again ({said})"
        ) from error


class OwnStream:
    """A stream of its own on a GPU, in order with the stream of whoever calls.

    Args:
        device: "cuda" or "cuda:1".

    Attributes:
        device: Where tensors lie.
        handle: The stream's address.

    Raises:
        RuntimeMissing: There is no such GPU.
    """

    def __init__(self, device: str) -> None:
        self.device = find_cuda(device)
        self._stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        self.handle = int(self._stream.cuda_stream)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Inside, the GPU is the current one and PyTorch's work goes to the stream.

        It begins after what the caller's stream has been given, and the caller's goes on after it.
        """
        caller = torch.cuda.current_stream(self.device)
        self._stream.wait_stream(caller)
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:
            caller.wait_stream(self._stream)

    def capture(self, work: Callable[[], None]) -> Callable[[], None] | None:
        """`work` as a CUDA graph; None if it cannot be captured. Captured and replayed inside `running`."""
        graph = torch.cuda.CUDAGraph()
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*CUDA Graph is empty")  # the caller finds out
                # Other threads may go on allocating meanwhile.
                with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                    work()
        except (RuntimeError, RunBroken):  # something in it waits, allocates, or will not be captured
            return None
        return graph.replay

    def wait(self) -> None:
        """Until the stream has done its work."""
        self._stream.synchronize()
