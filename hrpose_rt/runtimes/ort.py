"""ONNX Runtime: it is available everywhere and computes in the graph's precision."""

from pathlib import Path
from typing import Any

import numpy as np

from hrpose_rt.errors import RunBroken, RuntimeMissing
from hrpose_rt.nets.onnx_session import load_onnxruntime, open_session
from hrpose_rt.runtimes.base import refused
from hrpose_rt.types import F32, U8

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


class OnnxRuntime:
    """An ONNX file, run unchanged. One session accepts every input shape.

    Args:
        path: The ONNX file.
        threads: Cores to use.
        device: "cpu", "cuda" or "cuda:1".
        precision: Precision of the graph.

    Raises:
        RuntimeMissing: ONNX Runtime is not installed, has no CUDA, or cannot start on the GPU.
    """

    name = "onnxruntime"

    def __init__(self, path: Path, threads: int, device: str = "cpu", precision: str = "fp32") -> None:
        self.device, self.precision = device, precision
        providers = _providers(load_onnxruntime(), device)
        self._session = open_session(path, providers, threads)
        if len(providers) > 1 and self._session.get_providers()[0] != CUDA:  # it falls back to the CPU
            raise RuntimeMissing(
                f"ONNX Runtime could not start on {device}: check that nvidia-smi lists the GPU and that "
                "CUDA and cuDNN are of the versions it was built for, or use `device` cpu"
            )
        self._path, self._input = path, self._session.get_inputs()[0].name

    def warm_up(self, shapes: list[tuple[int, ...]]) -> None:
        """Run each shape once."""
        for shape in shapes:
            self.infer(np.zeros(shape, np.uint8))

    def infer(self, batch: U8) -> F32:
        """See `Runtime.infer`."""
        try:
            output: F32 = self._session.run(None, {self._input: batch})[0]
        except Exception as error:  # the library has many error classes
            raise RunBroken(refused(self._path, batch.shape, error)) from error
        return output

    def close(self) -> None:
        """Do nothing: the session is released with this object."""


def _providers(library: Any, device: str) -> list[Any]:
    """Execution providers of the session, the preferred one first."""
    kind, _, number = device.partition(":")
    if kind != "cuda":
        return [CPU]
    if CUDA not in library.get_available_providers():
        raise RuntimeMissing(
            f"ONNX Runtime {library.__version__} was built without CUDA: pip install onnxruntime-gpu in "
            "place of onnxruntime, or use `device` cpu"
        )
    if hasattr(library, "preload_dlls"):  # from 1.21 on
        library.preload_dlls()  # CUDA and cuDNN from packages beside it, such as those of PyTorch
    # TF32 is off, so that fp32 is full fp32.
    return [(CUDA, {"device_id": number or "0", "use_tf32": "0"}), CPU]
