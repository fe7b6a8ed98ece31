"""ONNX Runtime on the CPU: the runtime that is everywhere, in fp32."""

from pathlib import Path

import numpy as np

from hrpose_rt.errors import BadInput, RuntimeMissing
from hrpose_rt.types import F32, U8


class OnnxRuntime:
    """An ONNX file as it is; one session takes every input shape.

    Args:
        path: The ONNX file.
        threads: Cores to use.
    """

    name = "onnxruntime"
    precision = "fp32"

    def __init__(self, path: Path, threads: int) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise RuntimeMissing(
                f"ONNX Runtime does not load ({error}): pip install onnxruntime"
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library raises classes of its own for each way a file can be bad
            raise BadInput(f"{path} is not a network that ONNX Runtime can read: {error}") from error
        self._input = self._session.get_inputs()[0].name

    def warm(self, shapes: list[tuple[int, ...]]) -> None:
        """Run each shape once."""
        for shape in shapes:
            self.infer(np.zeros(shape, np.uint8))

    def infer(self, batch: U8) -> F32:
        """See `Runtime.infer`."""
        output: F32 = self._session.run(None, {self._input: batch})[0]
        return output

    def close(self) -> None:
        """The session goes with this object."""
