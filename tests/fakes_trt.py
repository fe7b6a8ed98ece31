"""A stand-in for the TensorRT libraries that builds; `gpu/library.py` has one that computes."""

from enum import Enum, IntEnum
from types import SimpleNamespace
from typing import Any

SHAPE = (4, 4, 3)  # of the pictures of the engine there is


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
        builds: Whether building works.
    """

    def __init__(
        self,
        version: str = "10.9.0",
        errors: tuple[Any, ...] = (),
        warnings: tuple[str, ...] = (),
        builds: bool = True,
    ) -> None:
        self.__version__ = version
        self.requests: dict[str, Any] = {"profiles": []}
        self.LayerType, self.DataType, self.NetworkDefinitionCreationFlag = LayerType, DataType, Flags
        self.MemoryPoolType = SimpleNamespace(WORKSPACE="workspace")
        self.BuilderFlag = SimpleNamespace(VERSION_COMPATIBLE="version-compatible", TF32="tf32")
        levels = {"NONE": "none", "AMPERE_PLUS": "ampere"}
        if version != "10.8.0":
            levels["SAME_COMPUTE_CAPABILITY"] = "same"
        self.HardwareCompatibilityLevel = SimpleNamespace(**levels)
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
            self.requests |= vars(config)
            if not self._builds:
                logger.log("ERROR", "no memory")
            return b"an engine" if self._builds else None

        return SimpleNamespace(
            create_network=self._network,
            create_builder_config=self._config,
            create_optimization_profile=lambda: SimpleNamespace(
                set_shape=lambda name, low, best, high: self.requests["profiles"].append((low, best, high))
            ),
            build_serialized_network=build,
        )

    def _network(self, flags: int) -> Any:
        self.requests["flags"] = flags
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
            set_memory_pool_limit=lambda pool, size: self.requests.update({pool: size}),
            add_optimization_profile=lambda profile: None,
            clear_flag=lambda flag: self.requests.update({flag: False}),
            set_flag=lambda flag: self.requests.update({flag: True}),
            create_timing_cache=lambda known: self.requests.update(known=known) or cache,
            set_timing_cache=lambda cache, strict: None,
        )
        return config
