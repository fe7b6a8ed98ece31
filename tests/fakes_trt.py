"""Stand-ins for the TensorRT libraries and for a GPU, on the CPU."""

import contextlib
import ctypes
from collections.abc import Callable
from enum import Enum, IntEnum
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

SHAPE = (4, 4, 3)  # of the pictures of the engine there is


class FakeCuda:
    """A GPU whose work is done at once; captures are counted, or fail."""

    device, stream = torch.device("cpu"), 7

    def __init__(self, captures: bool = True) -> None:
        self._captures, self.captured, self.replayed = captures, 0, 0

    def running(self) -> Any:
        return contextlib.nullcontext()

    def capture(self, work: Callable[[], None]) -> Callable[[], None] | None:
        if not self._captures:
            return None
        self.captured += 1

        def replay() -> None:
            self.replayed += 1
            work()

        return replay

    def wait(self) -> None:
        pass


class FakeContext:
    """Answers with the mean of each picture, read from and written to raw addresses."""

    def __init__(self, engine: "FakeEngine") -> None:
        self._engine, self.calls, self.addresses = engine, [], {}
        self.shape: tuple[int, ...] = ()

    def set_optimization_profile_async(self, profile: int, stream: int) -> bool:
        self.calls.append("profile")
        self.profile = profile
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.calls.append("shape")
        self.shape = shape
        return shape[0] == self._engine.batches[self.profile] and not self._engine.refuses

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.calls.append("address")
        self.addresses[name] = address
        return True

    def set_device_memory(self, address: int, size: int) -> None:
        self._engine.memories.append((address, size))

    def execute_async_v3(self, stream: int) -> bool:
        self._engine.runs.append(self.shape[0])
        if self._engine.breaks:
            return False
        count = int(np.prod(self.shape))
        pictures = np.ctypeslib.as_array((ctypes.c_uint8 * count).from_address(self.addresses["crops"]))
        out = (ctypes.c_float * self.shape[0]).from_address(self.addresses["heatmaps"])
        np.ctypeslib.as_array(out)[:] = pictures.reshape(self.shape[0], -1).mean(axis=1)
        return True


class FakeEngine:
    """With a profile for each batch size."""

    def __init__(self, batches: tuple[int, ...] = (1, 2, 4)) -> None:
        self.batches, self.refuses, self.breaks = batches, False, False
        self.contexts: list[FakeContext] = []
        self.memories: list[tuple[int, int]] = []
        self.runs: list[int] = []
        self.num_io_tensors, self.num_optimization_profiles = 2, len(batches)

    def get_tensor_name(self, i: int) -> str:
        return ("crops", "heatmaps")[i]

    def get_tensor_mode(self, name: str) -> str:
        return {"crops": "input", "heatmaps": "output"}[name]

    def get_tensor_profile_shape(self, name: str, i: int) -> list[tuple[int, ...]]:
        return [(self.batches[i], *SHAPE)] * 3

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (-1, 1)

    def get_device_memory_size_for_profile_v2(self, i: int) -> int:
        return 100 * self.batches[i]

    def create_execution_context(self, how: Any) -> FakeContext:
        self.contexts.append(FakeContext(self))
        return self.contexts[-1]

    def create_runtime_config(self) -> Any:
        cache = SimpleNamespace(serialize=lambda: b"compiled", deserialize=lambda data: None)
        self.config = SimpleNamespace(
            create_runtime_cache=lambda: cache,
            set_runtime_cache=lambda cache: None,
            set_execution_context_allocation_strategy=lambda strategy: None,
        )
        return self.config


class Flags(IntEnum):
    STRONGLY_TYPED = 3


class LayerType(Enum):
    CONVOLUTION = 1
    DECONVOLUTION = 2
    MATRIX_MULTIPLY = 3
    DEQUANTIZE = 4
    CONCATENATION = 5
    SLICE = 6
    POOLING = 7
    SHUFFLE = 8
    RESIZE = 9


class DataType(Enum):
    FLOAT = 1
    HALF = 2
    BF16 = 3


class FakeTrt:
    """A `tensorrt` module; what is asked of the builder is kept.

    Args:
        version: Of the library.
        errors: What its parser says of any graph.
        warnings: What its logger gets while parsing.
        engine: What it deserialises; None refuses every file.
    """

    def __init__(
        self,
        version: str = "10.9.0",
        errors: tuple[Any, ...] = (),
        warnings: tuple[str, ...] = (),
        engine: FakeEngine | None = None,
        builds: bool = True,
    ) -> None:
        self.__version__ = version
        self.asked: dict[str, Any] = {"profiles": []}
        self.LayerType, self.DataType, self.NetworkDefinitionCreationFlag = LayerType, DataType, Flags
        self.MemoryPoolType = SimpleNamespace(WORKSPACE="workspace")
        self.BuilderFlag = SimpleNamespace(VERSION_COMPATIBLE="version-compatible")
        levels = {"NONE": "none", "AMPERE_PLUS": "ampere"}
        if version != "10.8.0":
            levels["SAME_COMPUTE_CAPABILITY"] = "same"
        self.HardwareCompatibilityLevel = SimpleNamespace(**levels)
        self.TensorIOMode = SimpleNamespace(INPUT="input")
        self.ExecutionContextAllocationStrategy = SimpleNamespace(USER_MANAGED="user")
        self.CudaGraphStrategy = SimpleNamespace(WHOLE_GRAPH_CAPTURE="whole")
        self.Logger = lambda level: None
        self.Logger.ERROR = "error"  # type: ignore[attr-defined]
        self.Runtime = lambda logger: SimpleNamespace(deserialize_cuda_engine=lambda data: engine)
        self.IProgressMonitor = type("IProgressMonitor", (), {})
        names = ("INTERNAL_ERROR", "ERROR", "WARNING", "INFO")
        self.ILogger = type("ILogger", (), {name: name for name in names})
        self._errors, self._warnings, self._builds = errors, warnings, builds

    def OnnxParser(self, network: Any, logger: Any) -> Any:
        def parse(path: str) -> bool:
            for warning in self._warnings:
                logger.log("WARNING", warning)
            return not self._errors

        errors = self._errors
        return SimpleNamespace(parse_from_file=parse, num_errors=len(errors), get_error=lambda i: errors[i])

    def Builder(self, logger: Any) -> Any:
        def build(network: Any, config: Any) -> bytes | None:
            config.progress_monitor.phase_start("Building", None, 3)
            config.progress_monitor.phase_start("Inner", "Building", 3)
            assert config.progress_monitor.step_complete("Building", 0)
            config.progress_monitor.phase_finish("Building")
            self.asked |= vars(config)
            if not self._builds:
                logger.log("ERROR", "no memory")
            return b"an engine" if self._builds else None

        return SimpleNamespace(
            create_network=self._network,
            create_builder_config=self._config,
            create_optimization_profile=lambda: SimpleNamespace(
                set_shape=lambda name, low, best, high: self.asked["profiles"].append((low, best, high))
            ),
            build_serialized_network=build,
        )

    def _network(self, flags: int) -> Any:
        self.asked["flags"] = flags
        conv = SimpleNamespace(
            type=LayerType.CONVOLUTION,
            num_inputs=1,
            get_input=lambda i: SimpleNamespace(name="x"),
            get_output=lambda i: SimpleNamespace(name="y", dtype=DataType.HALF),
        )
        source = SimpleNamespace(name="crops", shape=(-1, *SHAPE))
        return SimpleNamespace(num_layers=1, get_layer=lambda i: conv, get_input=lambda i: source)

    def _config(self) -> Any:
        cache = SimpleNamespace(serialize=lambda: b"timings")
        config = SimpleNamespace(
            set_memory_pool_limit=lambda pool, size: self.asked.update({pool: size}),
            add_optimization_profile=lambda profile: None,
            set_flag=lambda flag: self.asked.update({flag: True}),
            create_timing_cache=lambda known: self.asked.update(known=known) or cache,
            set_timing_cache=lambda cache, strict: None,
        )
        return config
