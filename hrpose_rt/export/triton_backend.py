"""Program of Triton's Python backend that runs an OpenVINO engine.

A model repository holds a copy, named model.py. The server needs OpenVINO and nothing else of this package.
"""

import json
from pathlib import Path
from typing import Any

PRECISION_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}


class TritonPythonModel:
    """The network beside this file, model.xml. The names of the methods are Triton's."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the network.

        Args:
            args: `model_config` is the model's configuration as JSON.
        """
        import openvino

        config = json.loads(args["model_config"])
        spec = json.loads(config["parameters"]["hrpose_spec"]["string_value"])
        self._input, self._output = config["input"][0]["name"], config["output"][0]["name"]
        self._hints = {"INFERENCE_PRECISION_HINT": PRECISION_HINTS[spec["precision"]]}
        self._core = openvino.Core()
        self._network = self._core.read_model(Path(__file__).with_name("model.xml"))
        self._compiled: dict[tuple[int, int], Any] = {}  # by height and width, for any batch

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer the requests that the server joined: their images share one batch, of one size."""
        import numpy as np
        import triton_python_backend_utils as backend

        images = [backend.get_input_tensor_by_name(one, self._input).as_numpy() for one in requests]
        output = self._infer(np.concatenate(images))
        parts = np.split(output, np.cumsum([len(batch) for batch in images])[:-1])
        return [backend.InferenceResponse([backend.Tensor(self._output, part)]) for part in parts]

    def _infer(self, batch: Any) -> Any:
        size = batch.shape[1], batch.shape[2]
        if size not in self._compiled:
            self._network.reshape([-1, *size, 3])
            compiled = self._core.compile_model(self._network, "CPU", self._hints)
            self._compiled[size] = compiled.create_infer_request()
        request = self._compiled[size]
        request.infer({0: batch}, share_inputs=True)
        return request.get_output_tensor(0).data
