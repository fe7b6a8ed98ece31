"""OpenVINO: the default on a CPU, and the runtime for Intel's GPUs and NPUs."""

import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

from hrpose_rt.errors import BadInput, RunBroken, RuntimeMissing, last_line
from hrpose_rt.hardware import cpu_features, cpu_name, usable_cores
from hrpose_rt.runtimes.base import refused
from hrpose_rt.runtimes.ov_cache import load_or_compile
from hrpose_rt.types import F32, U8

_TWO_STREAMS = {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": "2"}
_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}


def cpu_has_bf16() -> bool:
    """Whether OpenVINO computes in bf16 natively on this CPU."""
    try:
        return "BF16" in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    except RuntimeError as error:
        raise RuntimeMissing(
            f"OpenVINO does not start ({last_line(error)}): free some memory, or use `runtime` onnxruntime"
        ) from error


def bf16_is_fast() -> bool:
    """Whether bf16 beats fp32 on this CPU.

    An Intel CPU needs AMX for that. With AVX-512 BF16 alone, OpenVINO 2026.4 took 1.4 times as long as
    fp32 for the embedded detector and 1.7 times for the poses of eight people. AVX-512 BF16 is fast on AMD.
    """
    slow = "avx512_bf16" in cpu_features() and "amx_bf16" not in cpu_features() and "AMD" not in cpu_name()
    return cpu_has_bf16() and not slow


class OpenVinoRuntime:
    """An ONNX file, compiled once for each input shape.

    A graph compiled for one shape runs about a fifth faster than one for any batch. Callers therefore use
    few shapes: the batch plan has four, the letterbox five.

    Args:
        path: The ONNX file.
        precision: "fp32", "bf16" (CPU), "fp16" (GPU, NPU), "int8" for an int8 graph, or "auto": fp16 on
            a GPU or NPU, bf16 on a CPU where that is fast, else fp32.
        threads: Cores to use on a CPU.
        device: "cpu", "gpu" or "npu".
        sha256: Hash of the file, if verified. On a CPU, compiled graphs are then kept in the cache.

    Raises:
        BadInput: The file is not a network, or the device does not support the precision.
        RuntimeMissing: OpenVINO is not installed, or finds no such device.
    """

    name = "openvino"

    def __init__(
        self, path: Path, precision: str, threads: int, device: str = "cpu", sha256: str = ""
    ) -> None:
        core = openvino_core()
        self.device, self._device = device, device.upper()
        if device != "cpu":
            _check_device(core, self._device)
            precision = "fp16" if precision == "auto" else precision
        elif precision == "auto":
            precision = "bf16" if bf16_is_fast() else "fp32"
        elif precision == "bf16" and not cpu_has_bf16():
            raise BadInput("this CPU has no bf16 arithmetic (AVX-512 BF16 or AMX): use `precision` fp32")
        self.precision = precision
        # An int8 graph also has layers that are not int8. They use 16 bits if the device supports that.
        rest = _HINTS[precision]
        if precision == "int8" and (device != "cpu" or cpu_has_bf16()):
            rest = "bf16" if device == "cpu" else "f16"
        self._hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": rest}
        if device == "cpu":
            self._hints["INFERENCE_NUM_THREADS"] = str(threads)
            if threads < usable_cores():  # pinned, several processes would all compute on the first cores
                self._hints["ENABLE_CPU_PINNING"] = "NO"
        try:
            self._model = core.read_model(path)
            self._takes = self._model.input(0).partial_shape
        except RuntimeError as error:
            raise BadInput(f"{path} is not a network that OpenVINO can read: {last_line(error)}") from error
        self._core, self._path = core, path
        self._sha256 = sha256 if device == "cpu" else ""
        self._compiled: dict[tuple[int, ...], _Whole | _Halves] = {}
        # A graph whose output has no row for each image, as the one that measures the peak, has no halves.
        by_image = self._model.output(0).partial_shape[0].is_dynamic
        self._splits = device == "cpu" and threads > 1 and by_image

    def warm_up(self, shapes: list[tuple[int, ...]]) -> None:
        """Compile for these shapes and run each once."""
        import numpy as np

        for shape in shapes:
            self.infer(np.zeros(shape, np.uint8))

    def infer(self, batch: U8) -> F32:
        """See `Runtime.infer`."""
        try:
            compiled = self._compiled.get(batch.shape)
            if compiled is None:
                compiled = self._compiled[batch.shape] = self._compile(batch.shape)
            return compiled.infer(batch)
        except RuntimeError as error:
            raise RunBroken(refused(self._path, batch.shape, error)) from error

    def _compile(self, shape: tuple[int, ...]) -> "_Whole | _Halves":
        import openvino

        if not self._takes.compatible(openvino.PartialShape(shape)):
            raise RuntimeError(f"it takes {self._takes}")
        if not self._splits or shape[0] % 2:
            return _Whole(self._compile_for(shape, self._hints))
        half = (shape[0] // 2, *shape[1:])
        return _Halves(self._compile_for(half, self._hints | _TWO_STREAMS), half[0])

    def _compile_for(self, shape: tuple[int, ...], hints: dict[str, str]) -> Any:
        def compile() -> Any:
            self._model.reshape(list(shape))
            return self._core.compile_model(self._model, self._device, hints)

        if not self._sha256:
            return compile()
        return load_or_compile(self._core, self._sha256, shape, hints, compile)

    def close(self) -> None:
        """Release the compiled graphs."""
        self._compiled.clear()


class _Whole:
    """A graph that runs on all cores together."""

    def __init__(self, compiled: Any) -> None:
        self._request = compiled.create_infer_request()

    def infer(self, batch: U8) -> F32:
        self._request.infer({0: batch}, share_inputs=True)
        output: F32 = self._request.get_output_tensor(0).data
        return output


class _Halves:
    """A graph for half a batch. It runs twice in parallel, each time on half of the cores.

    Cores that share no layer do not wait for each other. On 2 cores, 4 poses take .87 of the time.
    """

    def __init__(self, compiled: Any, half: int) -> None:
        import numpy as np
        import openvino

        self._rows = slice(half), slice(half, None)
        shape = compiled.output(0).shape
        self._output: F32 = np.empty((2 * half, *list(shape)[1:]), np.float32)
        self._requests = [compiled.create_infer_request() for _ in range(2)]
        for request, rows in zip(self._requests, self._rows, strict=True):
            request.set_output_tensor(0, openvino.Tensor(self._output[rows], shared_memory=True))

    def infer(self, batch: U8) -> F32:
        for request, rows in zip(self._requests, self._rows, strict=True):
            request.start_async({0: batch[rows]}, share_inputs=True)
        for request in self._requests:
            request.wait()
        return self._output


def _check_device(core: Any, device: str) -> None:
    seen = core.available_devices  # numbered if there are several: GPU.0, GPU.1
    if not any(name.partition(".")[0] == device for name in seen):
        raise RuntimeMissing(
            f"OpenVINO sees no {device} here, only {', '.join(seen)}: install Intel's driver for it, or "
            "use `device` cpu"
        )


_core_lock = threading.Lock()


def openvino_core() -> Any:
    """OpenVINO's core, the same one for the whole process.

    A core gives its thread a stack for signals, and restores the previous one at its end. If two cores end
    in the order they began, the thread keeps a stack that is freed (OpenVINO 2026.4). The next signal that
    Python handles, such as Ctrl-C or the end of a child process, then kills the process.
    """
    with _core_lock:
        return _only_core()


@lru_cache
def _only_core() -> Any:
    try:
        import openvino
    except ImportError as error:
        raise RuntimeMissing(f"OpenVINO does not load ({error}): pip install openvino") from error
    return openvino.Core()
