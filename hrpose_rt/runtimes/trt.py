"""TensorRT and TensorRT for RTX: one context and one CUDA graph for every batch size."""

import contextlib
import os
import re
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.hardware import nvidia_gpus
from hrpose_rt.nets.spec import EngineSpec
from hrpose_rt.paths import atomic_write, cache_dir
from hrpose_rt.runtimes.base import infer_in_parts
from hrpose_rt.runtimes.cuda import OwnStream, infer_device_in_parts, report_gpu_errors
from hrpose_rt.runtimes.trt_compat import NAMES, incompatibility, load_tensorrt
from hrpose_rt.types import F32, U8


class TrtRuntime:
    """A TensorRT engine. Memory is allocated once, so more people cause no new allocation or capture.

    Every batch size of the engine's profiles has its own context and CUDA graph. They share one input,
    one output and one working memory, and never run at the same time. A batch between two sizes uses
    the larger one. A batch above the largest size is split.

    Args:
        path: The engine file.
        spec: The engine's spec; its build must match this machine.
        device: "cuda" or "cuda:1".
        library: `tensorrt` or `tensorrt_rtx`; imported if None.

    Raises:
        BadInput: The engine does not match this machine; the message names the difference.
        RunBroken: The library refuses the engine.
        RuntimeMissing: The library or the GPU is missing.
    """

    name = "tensorrt"

    def __init__(self, path: Path, spec: EngineSpec, device: str = "cuda", library: Any = None) -> None:
        self._trt = trt = library or load_tensorrt(spec.format)
        number = torch.device(device).index or 0
        build = spec.build
        if build and (reason := incompatibility(build, spec.format, trt.__version__, number=number)):
            raise BadInput(
                f"{path} was {reason}: hrpose-rt export {spec.model} --format {spec.format} --precision "
                f"{spec.precision} --overwrite builds it again"
            )
        self._cuda = OwnStream(device)
        self.precision, self.device, self._path = spec.precision, device, path
        self._steps: dict[int, Callable[[], None]] = {}
        # A graph does not keep the captured objects alive. This list does; it is emptied from the end.
        self._held: list[Any] = [trt.Logger(trt.Logger.ERROR)]
        # It also runs at the program's exit, while TensorRT and CUDA are still loaded.
        self._release = weakref.finalize(self, _release, self._cuda, self._steps, self._held)
        with report_gpu_errors(device):
            with self._cuda.running():  # the engine belongs to the GPU that is current when it is read
                engine = self._read(path, spec)
                if spec.format == "tensorrt":
                    self._prepare(
                        engine, trt.ExecutionContextAllocationStrategy.USER_MANAGED, captures=True
                    )
                else:
                    cache = _RuntimeCache(trt, engine, path, number)
                    self._prepare(engine, cache.config, captures=False)  # the library captures
                    cache.save()

    @property
    def batches(self) -> tuple[int, ...]:
        """The batch sizes of the engine, ascending."""
        return tuple(self._steps)

    def _read(self, path: Path, spec: EngineSpec) -> Any:
        """Read the engine from its file."""
        runtime = self._trt.Runtime(self._held[0])
        if spec.build and spec.build.options.get("version_compat"):
            # Such an engine contains library code, so first check that the file is the one that was built.
            spec.check_hash(path)
            runtime.engine_host_code_allowed = True
        engine = runtime.deserialize_cuda_engine(path.read_bytes())
        if engine is None:
            raise RunBroken(
                f"{path} is refused by {NAMES[spec.format]} {self._trt.__version__}: export it again"
            )
        self._held += [runtime, engine]
        return engine

    def _prepare(self, engine: Any, how: Any, captures: bool) -> None:
        """Allocate memory, and create a context and a step for every batch size.

        Args:
            engine: The engine.
            how: Argument for creating a context.
            captures: Whether to capture the calls here.
        """
        device, mode = self._cuda.device, self._trt.TensorIOMode
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        inputs = [name for name in names if engine.get_tensor_mode(name) == mode.INPUT]
        (source,), (target,) = inputs, [name for name in names if name not in inputs]
        profiles = range(engine.num_optimization_profiles)
        shapes = [tuple(engine.get_tensor_profile_shape(source, i)[2]) for i in profiles]
        largest = max(shapes)
        working = max(engine.get_device_memory_size_for_profile_v2(i) for i in profiles)
        self._crops = torch.zeros(largest, dtype=torch.uint8, device=device)
        self._memory = torch.empty(max(working, 1), dtype=torch.uint8, device=device)
        out = tuple(engine.get_tensor_shape(target))[1:]
        self._answers = torch.zeros((largest[0], *out), dtype=torch.float32, device=device)
        self._from_host = torch.zeros(largest, dtype=torch.uint8, pin_memory=True)
        self._to_host = torch.zeros(self._answers.shape, pin_memory=True)
        for i, shape in sorted(enumerate(shapes), key=lambda pair: pair[1]):
            context = engine.create_execution_context(how)
            if context is None:
                raise RunBroken("TensorRT could not make an execution context: is the GPU's memory full?")
            self._held.append(context)
            # Set the profile before the shapes, because it bounds them.
            done = [
                context.set_optimization_profile_async(i, self._cuda.handle),
                context.set_input_shape(source, shape),
                context.set_tensor_address(source, self._crops.data_ptr()),
                context.set_tensor_address(target, self._answers.data_ptr()),
            ]
            if not all(done):
                raise RunBroken(
                    f"TensorRT refuses a batch of {shape[0]}, for which the engine has a profile"
                )
            context.set_device_memory(self._memory.data_ptr(), working)
            self._steps[shape[0]] = self._step(context, shape[0], captures)

    def _step(self, context: Any, n: int, captures: bool) -> Callable[[], None]:
        """Create the function that computes a batch of `n`."""
        stream = self._cuda.handle

        def enqueue() -> None:
            if not context.execute_async_v3(stream):
                raise RunBroken(f"TensorRT could not compute a batch of {n}: see its messages")

        enqueue()  # once before capturing: the first call does its setup
        return self._cuda.capture(enqueue, self._answers[:n]) if captures else enqueue

    def warm_up(self, shapes: list[tuple[int, ...]]) -> None:
        """Do nothing: opening the engine has run every batch size."""

    def infer(self, batch: U8) -> F32:
        """See `Runtime.infer`; raises `RunBroken` after `close`."""
        most, n = self._most(), len(batch)
        if n > most:
            return infer_in_parts(self.infer, batch, most)
        with report_gpu_errors(self.device):
            self._from_host[:n].copy_(torch.from_numpy(np.ascontiguousarray(batch)))
            with self._cuda.running():
                self._crops[:n].copy_(self._from_host[:n], non_blocking=True)
                self._compute(n)
                self._to_host[:n].copy_(self._answers[:n], non_blocking=True)
            self._cuda.wait()
        answers: F32 = self._to_host[:n].numpy()
        return answers

    def infer_device(self, crops: Tensor) -> Tensor:
        """See `DeviceRuntime.infer_device`; raises `RunBroken` after `close`."""
        most, n = self._most(), len(crops)
        if n > most:
            return infer_device_in_parts(self.infer_device, crops, most)
        with report_gpu_errors(self.device), self._cuda.running():
            self._crops[:n].copy_(crops, non_blocking=True)
            self._compute(n)
        return self._answers[:n]

    def _most(self) -> int:
        if not self._release.alive:
            raise RunBroken(f"{self._path.name} was closed: open it again")
        return self.batches[-1]

    def _compute(self, n: int) -> None:
        self._steps[next(size for size in self._steps if size >= n)]()

    def close(self) -> None:
        """Finish the running work, then release engine and memory. A second call does nothing."""
        if self._release.alive:
            self._release()
            del self._crops, self._answers, self._memory


def _release(cuda: OwnStream, steps: dict[int, Callable[[], None]], held: list[Any]) -> None:
    """Wait for the GPU, then release the objects in reverse order of creation."""
    with contextlib.suppress(RuntimeError):  # the GPU failed; that error was raised before
        cuda.wait()
    steps.clear()
    while held:
        held.pop()


class _RuntimeCache:
    """Disk cache for what TensorRT for RTX compiles at run time; also enables its own graph capture."""

    def __init__(self, trt: Any, engine: Any, path: Path, number: int) -> None:
        gpu = next((gpu.name for gpu in nvidia_gpus()[number : number + 1]), "gpu")
        name = f"{path.stem}-{trt.__version__}-{re.sub(r'[^a-zA-Z0-9]+', '-', gpu)}.cache"
        self._path = cache_dir() / "rtx" / name
        self.config = engine.create_runtime_config()
        self.config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        # Compile kernels for these shapes before the first frame, not in parallel with it.
        eager = trt.DynamicShapesKernelSpecializationStrategy.EAGER
        self.config.dynamic_shapes_kernel_specialization_strategy = eager
        strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        self.config.set_execution_context_allocation_strategy(strategy)
        self._cache = self.config.create_runtime_cache()
        saved = self._path.read_bytes() if self._path.is_file() else b""
        self._loaded = bool(saved) and self._cache.deserialize(saved)  # not that of another driver
        self.config.set_runtime_cache(self._cache)

    def save(self) -> None:
        """Save what was compiled, unless it was loaded. Several processes may do so at the same time."""
        if self._loaded:
            return
        # If saving fails, only the next start takes longer.
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(self._path, tag=f".{os.getpid()}") as file:
                file.write_bytes(bytes(self._cache.serialize()))
