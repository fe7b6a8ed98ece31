"""ONNX graph -> TensorRT or TensorRT for RTX engine, with one builder."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.hardware import Gpu, nvidia_gpus
from hrpose_rt.nets.spec import RTX_ARCHS, Build, Task
from hrpose_rt.paths import atomic_write, cache_dir
from hrpose_rt.runtimes.base import GPU_BATCHES
from hrpose_rt.runtimes.trt_compat import load_tensorrt

# The largest batch by task. Detectors take a frame and its tiles; larger batches would only take memory.
MAX_BATCH: dict[Task, int] = {"pose": 64, "detection": 16}
HARDWARE_COMPAT = {
    "none": "NONE",
    "same-cc": "SAME_COMPUTE_CAPABILITY",
    "ampere-plus": "AMPERE_PLUS",
}
MIB = 2**20
# The parser only warns when it reads 8-bit values as another type.
FATAL_WARNINGS = ("Defaulting to INT8",)
NO_FP32_PRODUCTS = "FP32 GEMM is not supported"

ProgressCallback = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TrtOptions:
    """Options of the builder.

    Attributes:
        archs: Some of `RTX_ARCHS`, for TensorRT for RTX only. If empty, all but the oldest, and the oldest
            too if this machine has such a GPU.
        max_batch: The largest batch; the profiles go up to it. 0 is that of `MAX_BATCH` for the task.
        workspace_mib: Memory that a layer may use while it computes.
        hardware_compat: One of `HARDWARE_COMPAT`: other GPUs the engine should run on (TensorRT only).
        version_compat: Whether later versions of TensorRT should read it (TensorRT only).
        any_batch: Whether it takes batches of every size, as a server forms them, not only `GPU_BATCHES`.
    """

    archs: tuple[str, ...] = ()
    max_batch: int = 0
    workspace_mib: int = 2048
    hardware_compat: str = "none"
    version_compat: bool = False
    any_batch: bool = False

    def for_task(self, task: Task) -> "TrtOptions":
        """The same, with the largest batch set."""
        return self if self.max_batch else replace(self, max_batch=MAX_BATCH[task])


def profile_batches(max_batch: int) -> tuple[int, ...]:
    """The batch sizes with a profile: `GPU_BATCHES` up to the first that is at least `max_batch`."""
    if not 1 <= max_batch <= GPU_BATCHES[-1]:
        raise BadInput(f"a batch of {max_batch} cannot be built: 1 to {GPU_BATCHES[-1]} can")
    last = next(i for i, batch in enumerate(GPU_BATCHES) if batch >= max_batch)
    return GPU_BATCHES[: last + 1]


def check_options(format: str, precision: str, options: TrtOptions, gpus: list[Gpu]) -> None:
    """Raise BadInput if an engine with these options cannot be built, or not on this machine."""
    profile_batches(options.max_batch)
    if options.hardware_compat not in HARDWARE_COMPAT:
        raise BadInput(
            f"there is no `hardware_compat` {options.hardware_compat}: choose {', '.join(HARDWARE_COMPAT)}"
        )
    if format == "tensorrt":
        if options.archs:
            raise BadInput("`archs` is for `format` tensorrt-rtx: TensorRT builds for the GPU that is here")
        if not gpus:
            raise BadInput(
                "TensorRT builds on the GPU that it will run on, and there is none here: use `format` "
                "tensorrt-rtx, which builds for any, or run this command there"
            )
        return
    if strange := next((arch for arch in options.archs if arch not in RTX_ARCHS), None):
        raise BadInput(f"TensorRT for RTX does not build for {strange}: choose of {', '.join(RTX_ARCHS)}")
    if "sm75" in rtx_archs(options, gpus) and precision in ("bf16", "int8"):
        other = "" if options.archs else ", or name another GPU with `archs`"
        raise BadInput(
            f"Turing (sm75) has no {precision} in TensorRT for RTX: use fp16 or fp32 there{other}"
        )
    if options.hardware_compat != "none" or options.version_compat:
        raise BadInput("`hardware_compat` and `version_compat` are TensorRT's: its RTX form has `archs`")


def rtx_archs(options: TrtOptions, gpus: list[Gpu]) -> tuple[str, ...]:
    """The GPU architectures TensorRT for RTX builds for; see `TrtOptions.archs`."""
    oldest = RTX_ARCHS[0]
    return options.archs or (RTX_ARCHS if any(gpu.arch == oldest for gpu in gpus) else RTX_ARCHS[1:])


def build_engine(
    onnx: Path, engine: Path, format: str, options: TrtOptions, progress: ProgressCallback, number: int = 0
) -> tuple[Build, dict[str, int]]:
    """Build an engine file; it is written atomically.

    Args:
        onnx: A typed graph; the engine computes in its types.
        engine: The file to write.
        format: "tensorrt" or "tensorrt-rtx".
        options: From `TrtOptions.for_task`, already checked by `check_options`.
        progress: Called with the builder's current phase.
        number: Number of the GPU that TensorRT builds on.

    Returns:
        The build record, and the number of layers by precision.

    Raises:
        BadInput: The parser rejects the graph; the message names node and operation.
        RunBroken: The builder failed.
        RuntimeMissing: The library is not installed.
    """
    trt = load_tensorrt(format)
    begin = time.perf_counter()
    gpus = nvidia_gpus()
    archs, gpu = rtx_archs(options, gpus), None
    logger = _logger(trt)
    builder = trt.Builder(logger)
    network = builder.create_network(_network_flags(trt, format))
    _parse(trt, network, logger, onnx)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib * MIB)
    source = network.get_input(0)
    shape = tuple(source.shape)[1:]
    for smaller, batch in pairwise((0, *profile_batches(options.max_batch))):
        least = smaller + 1 if options.any_batch else batch
        profile = builder.create_optimization_profile()
        profile.set_shape(source.name, (least, *shape), (batch, *shape), (batch, *shape))
        config.add_optimization_profile(profile)
    monitor = _monitor(trt, progress)
    config.progress_monitor = monitor
    # Without TF32, fp32 layers compute in fp32; with it, TensorRT rounds to 10 bits.
    config.clear_flag(trt.BuilderFlag.TF32)
    if format == "tensorrt-rtx":
        config.num_compute_capabilities = len(archs)
        for i, arch in enumerate(archs):
            config.set_compute_capability(getattr(trt.ComputeCapability, arch.upper()), i)
        serialised = builder.build_serialized_network(network, config)
    else:
        gpu = gpus[number]
        archs = (gpu.arch,)
        _ask_for_compatibility(trt, config, options)
        with _TimingCache(config, trt.__version__, archs[0]), _on_gpu(number):
            serialised = builder.build_serialized_network(network, config)
    if serialised is None and any(NO_FP32_PRODUCTS in error for error in logger.errors):
        raise BadInput(
            f"{onnx.name} multiplies matrices, which TensorRT for RTX cannot do in fp32 on Turing "
            "(sm75): use `precision` fp16 there"
        )
    if serialised is None:
        raise RunBroken(
            f"{format} built nothing of {onnx}: {'; '.join(logger.errors[-2:]) or 'it says not why'}"
        )
    with atomic_write(engine) as file:
        file.write_bytes(bytes(serialised))
    build_options = {
        "max_batch": options.max_batch,
        "workspace_mib": options.workspace_mib,
        "hardware_compat": options.hardware_compat,
        "version_compat": options.version_compat,
        "any_batch": options.any_batch,
    }
    return Build(
        library=format,
        version=trt.__version__,
        archs=archs,
        gpu=gpu.name if gpu else "",
        driver=gpu.driver if gpu else "",
        options=build_options,
        seconds=round(time.perf_counter() - begin, 1),
    ), network_layers(trt, network)


def _on_gpu(number: int) -> AbstractContextManager[Any]:
    """Make GPU `number` CUDA's current GPU inside: TensorRT builds on that one."""
    import torch

    return torch.cuda.device(number) if number else nullcontext()


def network_layers(trt: Any, network: Any) -> dict[str, int]:
    """The number of a parsed network's compute layers by precision."""
    costly = (trt.LayerType.CONVOLUTION, trt.LayerType.DECONVOLUTION, trt.LayerType.MATRIX_MULTIPLY)
    names = {trt.DataType.FLOAT: "fp32", trt.DataType.HALF: "fp16", trt.DataType.BF16: "bf16"}
    moving: tuple[Any, ...] = (trt.LayerType.CONCATENATION, trt.LayerType.SLICE, trt.LayerType.POOLING)
    moving += (trt.LayerType.SHUFFLE, trt.LayerType.RESIZE)
    eight_bits: set[str] = set()
    counts: Counter[str] = Counter()
    for i in range(network.num_layers):
        layer = network.get_layer(i)
        out = layer.get_output(0)
        inputs = [layer.get_input(j) for j in range(layer.num_inputs)]
        if layer.type == trt.LayerType.DEQUANTIZE:
            eight_bits.add(out.name)
        elif layer.type in moving and inputs[0] is not None and inputs[0].name in eight_bits:
            eight_bits.add(out.name)
        elif layer.type in costly:
            quantised = inputs[0] is not None and inputs[0].name in eight_bits
            counts["int8" if quantised else names.get(out.dtype, str(out.dtype))] += 1
    return dict(counts)


def _network_flags(trt: Any, format: str) -> int:
    """Strong typing: the graph's types are the precision. From TensorRT 11 on it is the only mode."""
    if format == "tensorrt" and int(trt.__version__.partition(".")[0]) < 11:
        return 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    return 0


def _parse(trt: Any, network: Any, logger: Any, onnx: Path) -> None:
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(onnx)):
        errors = [parser.get_error(i) for i in range(parser.num_errors)]
        messages = "; ".join(
            f"{e.desc()} at node {e.node_name() or '?'} ({e.node_operator() or '?'})" for e in errors
        )
        raise BadInput(f"{onnx} is not taken by the parser: {messages}")
    if fatal := [w for w in logger.warnings if any(words in w for words in FATAL_WARNINGS)]:
        raise BadInput(f"{onnx} would be computed otherwise than it says: {fatal[0]}")


def _ask_for_compatibility(trt: Any, config: Any, options: TrtOptions) -> None:
    expected = HARDWARE_COMPAT[options.hardware_compat]
    level = getattr(trt.HardwareCompatibilityLevel, expected, None)
    if level is None:
        raise BadInput(
            f"TensorRT {trt.__version__} has no `hardware_compat` {options.hardware_compat}: install a "
            "newer one, or use none"
        )
    config.hardware_compatibility_level = level
    if options.version_compat:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)


class _TimingCache:
    """TensorRT's kernel timings from earlier builds, on disk. Keep it open until the build ends."""

    def __init__(self, config: Any, version: str, arch: str) -> None:
        self._config = config
        self._path = cache_dir() / "timing" / f"{version}-{arch}.cache"

    def __enter__(self) -> None:
        saved = self._path.read_bytes() if self._path.is_file() else b""
        self._cache = self._config.create_timing_cache(saved)
        self._config.set_timing_cache(self._cache, False)

    def __exit__(self, *_: object) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(self._path) as file:
            file.write_bytes(bytes(self._cache.serialize()))


def _logger(trt: Any) -> Any:
    """A logger that collects warnings and errors; TensorRT's own would print them."""

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.warnings: list[str] = []
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.INTERNAL_ERROR, trt.ILogger.ERROR):
                self.errors.append(message)
            elif severity == trt.ILogger.WARNING:
                self.warnings.append(message)

    return Logger()


def _monitor(trt: Any, progress: ProgressCallback) -> Any:
    """Reports the builder's phases to `progress`; TensorRT may call it from several threads."""
    lock = threading.Lock()

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            if parent is None:  # inner phases take no time
                with lock:
                    progress(f"{name}, {steps} steps")

        def step_complete(self, name: str, step: int) -> bool:
            return True  # continue

        def phase_finish(self, name: str) -> None:
            pass

    return Monitor()
