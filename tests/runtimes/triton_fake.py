"""A Triton server in this process: its gRPC service with one network, and the ways it fails."""

import json
import mmap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
from tritonclient.grpc import service_pb2 as messages
from tritonclient.grpc.model_config_pb2 import TYPE_FP32, TYPE_UINT8, ModelConfig
from tritonclient.grpc.service_pb2_grpc import (
    GRPCInferenceServiceServicer,
    add_GRPCInferenceServiceServicer_to_server,
)

from hrpose_rt.nets.spec import EngineSpec
from hrpose_rt.runtimes.triton import SPEC

POSE = EngineSpec(
    "tiny", "pose", ((64, 64),), "fp32", "", "coco17", (16, 16), "dark", "openvino", sha256="a1"
)


def heatmaps(crops: np.ndarray) -> np.ndarray:
    """The network: each joint's heatmap (B, 17, 16, 16) is a channel of the crop, with a weight."""
    channel = crops[:, ::4, ::4, 0].astype(np.float32) / 255
    return channel[:, None] * np.linspace(0.5, 1, 17, dtype=np.float32)[:, None, None]


class FakeTriton(GRPCInferenceServiceServicer):
    """Serves `heatmaps` under the name of the spec.

    Args:
        spec: What its configuration says of the network.
        max_batch, preferred: Of the configuration.
    """

    def __init__(self, spec: EngineSpec = POSE, max_batch: int = 8, preferred: tuple = (2, 4)) -> None:
        self.config = ModelConfig(name=spec.model, max_batch_size=max_batch)
        self.config.input.add(name="crops", data_type=TYPE_UINT8, dims=[64, 64, 3])
        self.config.output.add(name="heatmaps", data_type=TYPE_FP32, dims=[17, 16, 16])
        self.config.dynamic_batching.preferred_batch_size.extend(preferred)
        self.config.parameters[SPEC].string_value = json.dumps(spec.to_dict())
        self.memory: dict[str, mmap.mmap] = {}
        self.calls: list[tuple[str, object]] = []  # method and request
        self.metadata: list[dict[str, str]] = []
        self.failures: list[tuple[grpc.StatusCode, str]] = []  # of the next calls of ModelInfer
        self.delays: list[float] = []  # of the next calls of ModelInfer
        self.token = ""
        self.sees_memory = True

    def _begin(self, request, context) -> None:
        self.calls.append((type(request).__name__.removesuffix("Request"), request))
        sent = dict(context.invocation_metadata())
        self.metadata.append(sent)
        if self.token and sent.get("triton-grpc-protocol-authorization") != self.token:
            context.abort(
                grpc.StatusCode.UNAVAILABLE,
                "This protocol is restricted, expecting header 'triton-grpc-protocol-authorization'",
            )

    def _check_name(self, name: str, context) -> None:
        if name != self.config.name:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Request for unknown model: '{name}' is not found")

    def ModelConfig(self, request, context):
        self._begin(request, context)
        self._check_name(request.name, context)
        return messages.ModelConfigResponse(config=self.config)

    def RepositoryIndex(self, request, context):
        self._begin(request, context)
        answer = messages.RepositoryIndexResponse()
        answer.models.add(name=self.config.name, version="1", state="READY")
        answer.models.add(
            name="broken", version="1", state="UNAVAILABLE", reason="Internal: x\n\n\nno such file."
        )
        return answer

    def SystemSharedMemoryRegister(self, request, context):
        self._begin(request, context)
        if not self.sees_memory:
            context.abort(grpc.StatusCode.INTERNAL, f"Unable to open shared memory region: '{request.key}'")
        with Path("/dev/shm", request.key.lstrip("/")).open("r+b") as file:
            self.memory[request.name] = mmap.mmap(file.fileno(), request.byte_size)
        return messages.SystemSharedMemoryRegisterResponse()

    def SystemSharedMemoryUnregister(self, request, context):
        self._begin(request, context)
        self.memory.pop(request.name, None)
        return messages.SystemSharedMemoryUnregisterResponse()

    def ModelInfer(self, request, context):
        self._begin(request, context)
        self._check_name(request.model_name, context)
        if self.delays:
            time.sleep(self.delays.pop(0))
        if self.failures:
            context.abort(*self.failures.pop(0))
        shape = tuple(request.inputs[0].shape)
        if shape[0] > self.config.max_batch_size or shape[1:] != (64, 64, 3):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "unexpected shape for input 'crops'")
        if request.raw_input_contents:
            data = request.raw_input_contents[0]
        else:
            data = self._region(request.inputs[0], context)[: int(np.prod(shape))]
        output = heatmaps(np.frombuffer(data, np.uint8).reshape(shape))
        answer = messages.ModelInferResponse(model_name=request.model_name)
        answer.outputs.add(name="heatmaps", datatype="FP32", shape=output.shape)
        if request.outputs[0].parameters:
            self._region(request.outputs[0], context)[: output.nbytes] = output.tobytes()
        else:
            answer.raw_output_contents.append(output.tobytes())
        return answer

    def _region(self, tensor, context) -> mmap.mmap:
        name = tensor.parameters["shared_memory_region"].string_param
        if name not in self.memory:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Unable to find shared memory region: '{name}'")
        return self.memory[name]

    def count(self, method: str) -> int:
        """How often a method was called."""
        return [name for name, _ in self.calls].count(method)


@contextmanager
def served(fake: FakeTriton, port: int = 0, credentials=None) -> Iterator[int]:
    """Answer on a port of loopback until the end of the block; 0 chooses one."""
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    add_GRPCInferenceServiceServicer_to_server(fake, server)
    place = f"127.0.0.1:{port}"
    port = server.add_secure_port(place, credentials) if credentials else server.add_insecure_port(place)
    server.start()
    try:
        yield port
    finally:
        server.stop(grace=None).wait()


@contextmanager
def served_later(fake: FakeTriton, port: int, seconds: float) -> Iterator[None]:
    """Begin to answer after some seconds, while the block runs."""
    done = threading.Event()

    def serve() -> None:
        time.sleep(seconds)
        with served(fake, port):
            done.wait()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
