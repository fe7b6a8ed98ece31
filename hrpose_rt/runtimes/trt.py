"""TensorRT and TensorRT for RTX: one context and one CUDA graph for every batch size."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from hrpose_rt.errors import BadInput, RunBroken, RuntimeMissing
from hrpose_rt.home import home_folder
from hrpose_rt.runtimes.spec import EngineSpec
from hrpose_rt.runtimes.trt_library import NAMES, load_tensorrt, what_differs
from hrpose_rt.types import F32, U8


class Cuda(Protocol):
    """What the runtime needs of a GPU.

    Attributes:
        device: Where tensors lie.
        stream: The address of its stream.
    """

    device: torch.device
    stream: int

    def running(self) -> AbstractContextManager[Any]:
        """Inside, PyTorch's work goes to the stream."""

    def capture(self, work: Callable[[], None]) -> Callable[[], None] | None:
        """`work` as a CUDA graph, to be replayed; None if it cannot be captured."""

    def wait(self) -> None:
        """Until the stream has done its work."""


class TorchCuda:
    """A GPU by way of PyTorch.

    Args:
        device: "cuda" or "cuda:1".

    Raises:
        RuntimeMissing: There is no such GPU.
    """

    def __init__(self, device: str) -> None:
        seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
        self.device = torch.device(device)
        if (self.device.index or 0) >= seen:
            raise RuntimeMissing(
                f"PyTorch {torch.__version__} sees {seen or 'no'} CUDA devices, {device} was asked for: "
                "check that nvidia-smi lists it and that this PyTorch was built for CUDA"
            )
        self._stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        self.stream = int(self._stream.cuda_stream)

    def running(self) -> AbstractContextManager[Any]:
        """See `Cuda.running`."""
        return torch.cuda.stream(self._stream)

    def capture(self, work: Callable[[], None]) -> Callable[[], None] | None:
        """See `Cuda.capture`."""
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=self._stream):
                work()
        except RuntimeError:  # an operation in it waits, or allocates
            return None
        return graph.replay

    def wait(self) -> None:
        """See `Cuda.wait`."""
        self._stream.synchronize()


class TrtRuntime:
    """A TensorRT engine, its memory given out once: a jump in people allocates and captures nothing.

    Every batch size of the engine's profiles has a context and a CUDA graph of its own; they share one
    input, one output and one working memory, and never run at the same time. A batch between two
    sizes takes the larger one.

    Args:
        path: The engine.
        spec: What it is; its build has to fit what is here.
        device: "cuda" or "cuda:1".
        library: `tensorrt` or `tensorrt_rtx`; imported if None.
        cuda: The GPU; PyTorch's if None.

    Raises:
        BadInput: It was built for something else; the message names what differs.
        RunBroken: The library refuses it.
        RuntimeMissing: The library or the GPU is not here.
    """

    name = "tensorrt"
    why = ""

    def __init__(
        self,
        path: Path,
        spec: EngineSpec,
        device: str = "cuda",
        library: Any = None,
        cuda: Cuda | None = None,
    ) -> None:
        self._trt = trt = library or load_tensorrt(spec.format)
        if spec.build and (why := what_differs(spec.build, spec.format, trt.__version__)):
            raise BadInput(
                f"{path} was {why}: hrpose-rt export {spec.model} --format {spec.format} --precision "
                f"{spec.precision} --overwrite builds it anew"
            )
        self._cuda = cuda or TorchCuda(device)
        self.precision, self.device = spec.precision, device
        self._logger = trt.Logger(trt.Logger.ERROR)
        self._runtime = trt.Runtime(self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(path.read_bytes())
        if self._engine is None:
            raise RunBroken(f"{path} is refused by {NAMES[spec.format]} {trt.__version__}: export it again")
        self._cache = _RuntimeCache(trt, self._engine, path) if spec.format == "tensorrt-rtx" else None
        names = [self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors)]
        inputs = [n for n in names if self._engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
        (self._input,), (self._output,) = inputs, [n for n in names if n not in inputs]
        self._steps: dict[int, Callable[[], None]] = {}
        self._prepare()

    @property
    def batches(self) -> tuple[int, ...]:
        """The batch sizes there is a graph for, ascending."""
        return tuple(self._steps)

    def _prepare(self) -> None:
        """Give out memory, and make a context and a graph for every batch size."""
        engine, device = self._engine, self._cuda.device
        profiles = range(engine.num_optimization_profiles)
        shapes = [tuple(engine.get_tensor_profile_shape(self._input, i)[2]) for i in profiles]
        largest = max(shapes)
        working = max(engine.get_device_memory_size_for_profile_v2(i) for i in profiles)
        with self._cuda.running():
            self._crops = torch.zeros(largest, dtype=torch.uint8, device=device)
            self._memory = torch.empty(max(working, 1), dtype=torch.uint8, device=device)
            out = tuple(engine.get_tensor_shape(self._output))[1:]
            self._answers = torch.zeros((largest[0], *out), dtype=torch.float32, device=device)
        self._from_host = torch.zeros(largest, dtype=torch.uint8, pin_memory=device.type == "cuda")
        self._to_host = torch.zeros(self._answers.shape, pin_memory=device.type == "cuda")
        for i, shape in sorted(enumerate(shapes), key=lambda pair: pair[1]):
            self._steps[shape[0]] = self._step(i, shape, working)

    def _step(self, profile: int, shape: tuple[int, ...], working: int) -> Callable[[], None]:
        """What computes a batch of `shape`: a graph, or the plain call where it cannot be captured."""
        context = self._context()
        # The profile comes before the shapes, which it bounds.
        done = [
            context.set_optimization_profile_async(profile, self._cuda.stream),
            context.set_input_shape(self._input, shape),
            context.set_tensor_address(self._input, self._crops.data_ptr()),
            context.set_tensor_address(self._output, self._answers.data_ptr()),
        ]
        if not all(done):
            raise RunBroken(f"TensorRT refuses a batch of {shape[0]}, for which the engine has a profile")
        context.set_device_memory(self._memory.data_ptr(), working)

        def enqueue() -> None:
            if not context.execute_async_v3(self._cuda.stream):
                raise RunBroken(f"TensorRT could not compute a batch of {shape[0]}: see its messages")

        with self._cuda.running():
            enqueue()  # once before capturing: the first call sets itself up
        self._cuda.wait()
        # TensorRT for RTX captures by itself, see _RuntimeCache.
        graph = None if self._cache else self._cuda.capture(enqueue)
        return graph or enqueue

    def _context(self) -> Any:
        trt = self._trt
        if self._cache:
            context = self._engine.create_execution_context(self._cache.config)
        else:
            strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
            context = self._engine.create_execution_context(strategy)
        if context is None:
            raise RunBroken("TensorRT could not make an execution context: is the GPU's memory full?")
        return context

    def warm(self, shapes: list[tuple[int, ...]]) -> None:
        """Everything was warmed when it was opened."""

    def infer(self, batch: U8) -> F32:
        """See `Runtime.infer`; a batch beyond the largest size goes in several."""
        most = self.batches[-1]
        if len(batch) > most:
            parts = [self.infer(batch[i : i + most]).copy() for i in range(0, len(batch), most)]
            return np.concatenate(parts)
        n = len(batch)
        self._from_host[:n].copy_(torch.from_numpy(np.ascontiguousarray(batch)))
        with self._cuda.running():
            self._crops[:n].copy_(self._from_host[:n], non_blocking=True)
            self._compute(n)
            self._to_host[:n].copy_(self._answers[:n], non_blocking=True)
        self._cuda.wait()
        answers: F32 = self._to_host[:n].numpy()
        return answers

    def infer_device(self, crops: Tensor) -> Tensor:
        """The same from device to device: (B, H, W, 3) uint8 to one output, valid until the next call."""
        n = len(crops)
        with self._cuda.running():
            self._crops[:n].copy_(crops, non_blocking=True)
            self._compute(n)
        return self._answers[:n]

    def _compute(self, n: int) -> None:
        self._steps[next(size for size in self._steps if size >= n)]()

    def close(self) -> None:
        """Release the engine."""
        if self._cache:
            self._cache.save()
        self._steps.clear()
        self._engine = self._runtime = None


class _RuntimeCache:
    """What TensorRT for RTX compiles at run time, kept on disk; and its own capture of graphs."""

    def __init__(self, trt: Any, engine: Any, path: Path) -> None:
        self._path = home_folder() / "rtx" / f"{path.stem}-{trt.__version__}.cache"
        self.config = engine.create_runtime_config()
        self.config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        self.config.set_execution_context_allocation_strategy(strategy)
        self._cache = self.config.create_runtime_cache()
        if self._path.is_file():
            self._cache.deserialize(self._path.read_bytes())
        self.config.set_runtime_cache(self._cache)

    def save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".partial")
        partial.write_bytes(bytes(self._cache.serialize()))
        partial.replace(self._path)
