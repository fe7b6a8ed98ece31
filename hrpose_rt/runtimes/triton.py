"""Triton: networks that run on NVIDIA's inference server, on this machine or another one."""

import math
import mmap
import os
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np

from hrpose_rt.config import Settings
from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.nets.spec import EngineSpec, Task
from hrpose_rt.run_info import Outages
from hrpose_rt.runtimes.base import infer_in_parts
from hrpose_rt.runtimes.triton_server import Refused, TritonServer
from hrpose_rt.skeleton import SKELETON_SUFFIXES
from hrpose_rt.types import F32, U8

SPEC = "hrpose_spec"  # the parameter of a model's configuration that holds its spec
DEVICE = "server"  # the device of networks that run elsewhere
MEMORY = Path("/dev/shm")  # where shared memory has its names
MAX_REASON = 200  # characters of a server's reason, which may be a traceback


def open_served(
    name: str,
    task: Task,
    settings: Settings,
    progress: Callable[[str], None],
    outages: Outages | None = None,
) -> tuple["TritonRuntime", EngineSpec]:
    """Open a model on the server at `settings.url`. Its spec comes from there, no file is needed here.

    Args:
        name: Its name on the server.
        task: The task it is needed for.
        settings: The settings.
        progress: Called with a text when the server is away, and when it is back.
        outages: Counts how often and how long it is away.

    Returns:
        The runtime, and the spec with the largest batch that one call should have as `max_batch`.

    Raises:
        BadInput: The server has no such model, or the model does not fit the task or the settings.
        RunBroken: The server does not answer.
        RuntimeMissing: tritonclient is not installed.
    """
    server = TritonServer(settings.url, progress, outages)
    try:
        config, spec = _find(server, name)
        _check(name, spec, task, settings)
        if task == "pose" and settings.skeleton != "auto":
            spec = replace(spec, skeleton=settings.skeleton)
        return TritonRuntime(server, config, spec, server.on_this_machine), spec
    except BaseException:
        server.close()
        raise


def _find(server: TritonServer, name: str) -> tuple[Any, EngineSpec]:
    """The configuration of a model on a server, and its spec."""
    try:
        config = server.call("ModelConfig", server.messages.ModelConfigRequest(name=name)).config
    except Refused as error:
        raise BadInput(f"{server.url} serves no {name}: {_others(server, name)}") from error
    from tritonclient.grpc.model_config_pb2 import TYPE_FP32, TYPE_UINT8

    kinds = [tensor.data_type for tensor in (*config.input, *config.output)]
    if SPEC not in config.parameters or kinds != [TYPE_UINT8, TYPE_FP32] or config.max_batch_size < 1:
        raise BadInput(
            f"{name} at {server.url} is no network of this program: write its model repository with "
            "hrpose-rt export --format triton"
        )
    try:
        spec = EngineSpec.parse(config.parameters[SPEC].string_value.encode())
    except ValueError as error:
        raise BadInput(
            f"{name} at {server.url} does not describe a network ({error}): export it again"
        ) from error
    largest = max(config.dynamic_batching.preferred_batch_size, default=config.max_batch_size)
    return config, replace(spec, max_batch=min(largest, config.max_batch_size))


def _others(server: TritonServer, name: str) -> str:
    """What to do about a model that is not served."""
    models = server.call("RepositoryIndex", server.messages.RepositoryIndexRequest()).models
    if reasons := [model.reason for model in models if model.name == name and model.reason]:
        reason = shorten(reasons[0], MAX_REASON, placeholder="...").rstrip(".")
        return f"it does not load ({reason}); the server's log says more"
    ready = sorted({model.name for model in models if model.state == "READY"})
    return f"choose {', '.join(ready)}, or " * bool(ready) + "add it with hrpose-rt export --format triton"


def _check(name: str, spec: EngineSpec, task: Task, settings: Settings) -> None:
    """Raise BadInput if a model does not fit the task or the settings."""
    at = f"{name} at {settings.url}"
    if spec.task != task:
        raise BadInput(f"{at} is a {spec.task} network, one for {task} is needed here")
    if settings.precision not in ("auto", spec.precision):
        raise BadInput(f"{at} is {spec.precision}: leave out `precision`, or export another")
    if task == "pose" and settings.input_hw not in (None, spec.input_hw):
        h, w = spec.input_hw
        raise BadInput(f"{at} is for {h}x{w} and no other `input_hw`: leave it out")
    if settings.skeleton == "auto" and spec.skeleton.endswith(SKELETON_SUFFIXES):
        raise BadInput(f"{at} has the skeleton of a file: give {spec.skeleton} with `skeleton`")


class TritonRuntime:
    """A network on a Triton server. See `Runtime`.

    On one machine, images and results are passed in shared memory, if the server can open it.

    Args:
        server: The connection; `close` closes it.
        config: The model's configuration, a ModelConfig.
        spec: Its spec. A batch larger than `max_batch` takes several calls.
        shared_memory: Whether to try shared memory.
    """

    name, device = "triton", DEVICE

    def __init__(self, server: TritonServer, config: Any, spec: EngineSpec, shared_memory: bool) -> None:
        self._server, self._config, self._spec = server, config, spec
        self.precision = spec.precision
        self._outages = server.outages.count
        self._may_share = self._shares = shared_memory
        self._images: _Memory | None = None
        self._results: _Memory | None = None
        self._result_bytes: dict[tuple[int, ...], int] = {}  # by the shape of the batch
        self._answered = True  # whether the server is done with the memory

    def warm_up(self, shapes: list[tuple[int, ...]]) -> None:
        """Run the first shape once. The server warms itself up, as its configuration says."""
        for shape in shapes[:1]:
            self.infer(np.zeros(shape, np.uint8))

    def infer(self, batch: U8) -> F32:
        """See `Runtime.infer`.

        Raises:
            RunBroken: The server does not come back, comes back with another network, or fails.
        """
        return infer_in_parts(self._infer, batch, self._spec.max_batch)

    def _infer(self, batch: U8) -> F32:
        try:
            try:
                return self._call(batch)
            except Refused:
                if self._images is None:
                    raise
                self._forget_memory()  # a server that was restarted does not know it
                return self._call(batch)
        except Refused as error:
            raise RunBroken(
                f"{self._config.name} at {self._server.url} refuses a batch of "
                f"{' x '.join(map(str, batch.shape))} ({error}): the server's log says more"
            ) from error

    def _call(self, batch: U8) -> F32:
        request = self._server.messages.ModelInferRequest(model_name=self._config.name)
        source = request.inputs.add(name=self._config.input[0].name, datatype="UINT8", shape=batch.shape)
        target = request.outputs.add(name=self._config.output[0].name)
        results = None
        if images := self._with_images(batch):
            images.share(source, batch.nbytes)
            if results := self._results:
                results.share(target, self._result_bytes[batch.shape])
        else:
            request.raw_input_contents.append(batch.tobytes())
        self._answered = False
        answer = self._server.call("ModelInfer", request)
        self._answered = self._outages == self._server.outages.count
        shape = tuple(answer.outputs[0].shape)
        if results:
            output = results.read(shape)
        else:
            (content,) = answer.raw_output_contents
            self._result_bytes[batch.shape] = len(content)
            output = np.frombuffer(content, np.float32).reshape(shape).copy()
        if not self._answered:
            self._begin_again()
        return output

    def _with_images(self, batch: U8) -> "_Memory | None":
        """Shared memory with the batch in it, or None. It also makes room for results of a known size."""
        if not self._shares:
            return None
        room = self._result_bytes.get(batch.shape)
        try:
            self._images = self._with_room(self._images, batch.nbytes)
            self._results = self._with_room(self._results, room) if room else None
        except OSError:  # no room, or the server sees another /dev/shm, as in a container
            self._forget_memory()
            self._shares = False
            return None
        self._images.write(batch)
        return self._images

    def _with_room(self, memory: "_Memory | None", size: int) -> "_Memory":
        if memory and memory.size >= size:
            return memory
        if memory:
            memory.forget()
        return _Memory(self._server, size)

    def _forget_memory(self) -> None:
        for memory in (self._images, self._results):
            # A server that has not answered may still write into it: there it stays mapped.
            if memory and not (self._answered and memory.forget()):
                break
        self._images = self._results = None
        self._result_bytes.clear()

    def _begin_again(self) -> None:
        """After an outage, share other memory; raise RunBroken if the server has another network now."""
        self._forget_memory()
        self._answered, self._shares = True, self._may_share
        self._outages = self._server.outages.count
        try:
            _, spec = _find(self._server, self._config.name)
        except BadInput as error:
            raise RunBroken(str(error)) from error
        if spec.sha256 != self._spec.sha256:
            raise RunBroken(
                f"{self._server.url} came back with another {self._config.name}: start the run again"
            )

    def close(self) -> None:
        """End the connection to the server."""
        self._forget_memory()
        self._server.close()


class _Memory:
    """Memory that a server on this machine maps, too. Its name goes as soon as the server has opened it.

    Raises:
        OSError: There is no room, or the server cannot open it.
    """

    def __init__(self, server: TritonServer, size: int) -> None:
        self._server, self.size = server, size
        self._name = f"hrpose-{os.getpid()}-{secrets.token_hex(8)}"
        path = MEMORY / self._name
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.posix_fallocate(file, 0, size)  # without it, writing to a full /dev/shm kills the process
            self._bytes = mmap.mmap(file, size)
            register = server.messages.SystemSharedMemoryRegisterRequest(
                name=self._name, key=f"/{self._name}", byte_size=size
            )
            if not server.try_once("SystemSharedMemoryRegister", register):
                raise OSError(f"{server.url} cannot open {path}")
        finally:
            os.close(file)
            path.unlink()

    def share(self, tensor: Any, size: int) -> None:
        """Let the tensor of a request lie in the first `size` bytes."""
        tensor.parameters["shared_memory_region"].string_param = self._name
        tensor.parameters["shared_memory_byte_size"].int64_param = size

    def write(self, batch: U8) -> None:
        """Copy a batch to the beginning."""
        np.frombuffer(self._bytes, np.uint8, batch.size).reshape(batch.shape)[:] = batch

    def read(self, shape: tuple[int, ...]) -> F32:
        """A copy of the fp32 numbers at the beginning."""
        return np.frombuffer(self._bytes, np.float32, math.prod(shape)).reshape(shape).copy()

    def forget(self) -> bool:
        """Let the server unmap it; whether it answers."""
        request = self._server.messages.SystemSharedMemoryUnregisterRequest(name=self._name)
        return self._server.try_once("SystemSharedMemoryUnregister", request)
