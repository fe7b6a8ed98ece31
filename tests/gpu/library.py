"""A TensorRT that computes with PyTorch, for what a fake that only answers cannot show.

`Library` has what `hrpose_rt.runtimes.trt` touches of the modules `tensorrt` and `tensorrt_rtx`. Its
contexts run on the stream and on the raw addresses that they are given:

    batch at the input's address -> working memory -> network -> times a gain of 1 that is the context's
    own -> the output's address

so that an answer depends on every piece of memory that TensorRT's would. What a context or an engine owns
is NaN once it is gone: a CUDA graph that outlives its context answers NaN. On a GPU each kernel begins with
a delay, so that who does not wait for it reads what was there before. What is called in the wrong way is
noted in `Machine.complaints`.
"""

import ctypes
import functools
import json
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tests.gpu.networks import NETWORKS
from tests.gpu.simulated import ALIGNED, HAS_CUDA, Line, Machine, quiet

DELAY = 40_000_000  # cycles, some 20 ms, before every kernel on a GPU
_GRAVES: list[Tensor] = []


def _names(*names: str) -> Any:
    return SimpleNamespace(**{name: name for name in names})


class Library:
    """The module.

    Args:
        machine: Where it runs.
        version: Of `tensorrt`, or of `tensorrt_rtx`.
        keep_contexts: Engines keep their contexts alive: for checks that are not about their lifetime.
        delay: Cycles before every kernel on a GPU.
        capture: "works", "refuses" (enqueueing fails while the stream captures) or "empty" (enqueueing says
            that it worked and records nothing, as TensorRT did with an engine of another GPU).
    """

    def __init__(
        self,
        machine: Machine,
        version: str = "11.4",
        keep_contexts: bool = False,
        capture: str = "works",
        delay: int = DELAY,
    ) -> None:
        self.__version__, self.delay = version, delay
        self.machine, self.keep_contexts, self.capture = machine, keep_contexts, capture
        self.configs: list[RuntimeConfig] = []
        self.contexts_made = self.enqueued = 0
        self.Logger = type("Logger", (), {"__init__": lambda self, level=None: None, "ERROR": "ERROR"})
        self.TensorIOMode = _names("INPUT", "OUTPUT")
        self.ExecutionContextAllocationStrategy = _names("STATIC", "ON_PROFILE_CHANGE", "USER_MANAGED")
        self.CudaGraphStrategy = _names("DISABLED", "WHOLE_GRAPH_CAPTURE")
        self.DynamicShapesKernelSpecializationStrategy = _names("LAZY", "EAGER", "NONE")

    def Runtime(self, logger: Any) -> "Runtime":
        return Runtime(self, logger)


class Runtime:
    """Reads plans; those that hold code only where that is allowed."""

    def __init__(self, library: Library, logger: Any) -> None:
        if logger is None:
            raise TypeError("Runtime needs a logger")
        self._library, self.logger, self.engine_host_code_allowed = library, logger, False

    def deserialize_cuda_engine(self, data: bytes) -> "Engine | None":
        found = json.loads(data)
        if found["host_code"] and not self.engine_host_code_allowed:
            return None
        return Engine(self._library, self, found)


def _nan(tensors: list[Tensor]) -> None:
    """Poison memory, and keep it from being given out again; at once, whatever is still at work with it."""
    _GRAVES.extend(tensors)
    with torch.no_grad(), quiet():
        where: Any = torch.cuda.stream(torch.cuda.Stream(tensors[0].device)) if HAS_CUDA else nullcontext()
        with where:
            for tensor in tensors:
                tensor.fill_(torch.nan)


class Engine:
    """A network for the GPU that was current when it was read; its weights are NaN once it is gone."""

    num_io_tensors = 2

    def __init__(self, library: Library, runtime: Runtime, found: dict[str, Any]) -> None:
        self.library, self._runtime = library, runtime  # as in TensorRT, it keeps its runtime alive
        self.device = torch.cuda.current_device()
        self.batches: list[int] = found["batches"]
        self.hw, self.out = tuple(found["hw"]), tuple(found["out"])
        self.num_optimization_profiles = len(self.batches)
        with quiet():
            self.network = NETWORKS[found["network"]]().eval()
            if HAS_CUDA:
                self.network.to(torch.device("cuda", self.device))
        self.contexts: list[Context] = []
        weakref.finalize(self, _nan, list(self.network.parameters())).atexit = False

    def get_tensor_name(self, i: int) -> str:
        return ("crops", "heatmaps")[i]

    def get_tensor_mode(self, name: str) -> str:
        return {"crops": "INPUT", "heatmaps": "OUTPUT"}[name]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (-1, *self.hw, 3) if name == "crops" else (-1, *self.out)

    def get_tensor_profile_shape(self, name: str, i: int) -> list[tuple[int, ...]]:
        return [(self.batches[i], *self.hw, 3)] * 3

    def get_device_memory_size_for_profile_v2(self, i: int) -> int:
        return self.batches[i] * self.hw[0] * self.hw[1] * 3

    @property
    def device_memory_size_v2(self) -> int:
        return max(map(self.get_device_memory_size_for_profile_v2, range(len(self.batches))))

    def create_execution_context(self, how: Any = "STATIC") -> "Context":
        context = Context(self, how.strategy if isinstance(how, RuntimeConfig) else how)
        if isinstance(how, RuntimeConfig):
            how.contexts += 1
        self.library.contexts_made += 1
        if self.library.keep_contexts:
            self.contexts.append(context)
        return context

    def create_runtime_config(self) -> "RuntimeConfig":
        self.library.configs.append(RuntimeConfig())
        return self.library.configs[-1]


class RuntimeConfig:
    """What TensorRT for RTX is told at run time."""

    def __init__(self) -> None:
        self.strategy, self.cuda_graph_strategy, self.contexts = "STATIC", "DISABLED", 0
        self.dynamic_shapes_kernel_specialization_strategy = "LAZY"

    def set_execution_context_allocation_strategy(self, strategy: str) -> None:
        self.strategy = strategy

    def create_runtime_cache(self) -> Any:
        return SimpleNamespace(
            deserialize=lambda data: data.startswith(b"kernels"),
            serialize=lambda: b"kernels of %d contexts" % self.contexts,
        )

    def set_runtime_cache(self, cache: Any) -> bool:
        return True


class Context:
    """Runs an engine; see the module. Once it is gone, its gain is NaN."""

    def __init__(self, engine: Engine, strategy: str) -> None:
        self.engine, self._machine, self._strategy = engine, engine.library.machine, strategy
        self._calls: list[str] = []
        self._profile, self._shape, self._memory = 0, (), (0, 0)
        self._addresses: dict[str, int] = {}
        with quiet():
            self._gain = torch.ones(1, device=torch.device("cuda", engine.device) if HAS_CUDA else "cpu")
        self._busy: list[Any] = []  # streams with work of it, and how far they will have come then
        self._same_gpu("a context was made")
        weakref.finalize(self, _gone, self._machine, self._busy, self._gain).atexit = False

    def _same_gpu(self, what: str, stream: int | None = None) -> bool:
        here, wanted = torch.cuda.current_device(), self.engine.device
        line = self._machine.lines.get(stream) if stream is not None else None
        if line and line.device_index != wanted:
            self._machine.complain(
                f"{what} with a stream of cuda:{line.device_index}, the engine is on cuda:{wanted}"
            )
            return False
        if here != wanted:
            self._machine.complain(f"{what} with cuda:{here} current, the engine is on cuda:{wanted}")
        return here == wanted

    def set_optimization_profile_async(self, profile: int, stream: int) -> bool:
        self._calls, self._profile, self._shape = ["profile"], profile, ()  # it forgets the shapes
        return self._same_gpu("a profile was chosen", stream)

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._calls.append("shape")
        fits = shape == self.engine.get_tensor_profile_shape(name, self._profile)[2]
        if fits:
            self._shape = shape
        return fits

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._calls.append("address")
        if address % ALIGNED:
            self._machine.complain(f"the address of {name} is not aligned to {ALIGNED} bytes")
        self._addresses[name] = address
        return True

    def set_device_memory(self, address: int, size: int) -> None:
        if address % ALIGNED:
            self._machine.complain(f"the working memory is not aligned to {ALIGNED} bytes")
        if size < self.engine.device_memory_size_v2:
            self._machine.complain(
                f"{size} bytes of working memory, {self.engine.device_memory_size_v2} are needed"
            )
        self._memory = (address, size)

    def execute_async_v3(self, stream: int) -> bool:
        machine, library = self._machine, self.engine.library
        if (
            not self._shape
            or len(self._addresses) < 2
            or (self._strategy == "USER_MANAGED" and not self._memory[0])
        ):
            machine.complain("a context was run before it had shape, addresses and working memory")
            return False
        if self._calls != ["profile", "shape", "address", "address"]:
            machine.complain(f"a context was set up as {self._calls}, not profile, shape, addresses")
        if not self._same_gpu("a context was run", stream):
            return False
        if stream in (0, 1, 2):
            machine.complain(
                "a context was run on the default stream: TensorRT then waits for the whole GPU"
            )
        line = machine.lines.get(stream)
        capturing = line.capturing is not None if line else torch.cuda.is_current_stream_capturing()
        if capturing and library.capture != "works":
            return library.capture == "empty"
        library.enqueued += 1
        kernel = self._kernel(stream)
        if line and line.capturing:
            line.capturing.work.append(kernel)  # a replay runs it on the stream that is current then
        elif line:
            kernel(line)
        else:
            kernel()
        return True

    def _kernel(self, stream: int) -> Callable[..., None]:
        """The work, by address: it keeps neither this context nor any tensor of the caller's alive."""
        batch = self._shape[0]
        shapes = {"crops": self._shape, "heatmaps": (batch, *self.engine.out)}
        sizes = {"crops": int(np.prod(shapes["crops"])), "heatmaps": 4 * int(np.prod(shapes["heatmaps"]))}
        places = [(self._addresses[name], sizes[name], name) for name in sizes]
        places.append((self._memory[0], sizes["crops"], "the working memory"))
        work = functools.partial(
            *(_compute, self.engine.network, self._gain, dict(self._addresses), self._memory[0], shapes),
            device=self.engine.device,
        )
        if HAS_CUDA:
            return functools.partial(_on_gpu, work, self.engine.library.delay, stream, self.engine.device)
        return functools.partial(_on_cpu, work, self._machine, places, self._busy, weakref.ref(self), batch)


def _compute(
    network: nn.Module, gain: Tensor, at: dict[str, int], memory: int, shapes: dict[str, Any], device: int
) -> None:
    crops = _view(at["crops"], shapes["crops"], "uint8", device)
    scratch = _view(memory, shapes["crops"], "uint8", device)
    answers = _view(at["heatmaps"], shapes["heatmaps"], "float32", device)
    scratch.copy_(crops)
    answers.copy_(network(scratch) * gain)


def _on_gpu(work: Callable[[], None], delay: int, stream: int, device: int) -> None:
    torch.backends.cudnn.allow_tf32 = False  # as little difference from the reference as can be
    with torch.cuda.stream(torch.cuda.ExternalStream(stream, device)), torch.no_grad():
        if delay:
            torch.cuda._sleep(delay)
        work()


def _on_cpu(
    work: Callable[[], None],
    machine: Machine,
    places: list[Any],
    busy: list[Any],
    context: Any,
    batch: int,
    line: Line | None = None,
) -> None:
    line = line or machine.stream
    if context() is None:
        machine.complain(f"a graph ran a batch of {batch} of a context that is gone")
    crops, answers, memory = (machine.find(*place) for place in places)
    machine.touch(line, crops, answers + memory, f"the network, a batch of {batch},")
    busy[:] = [(line, line.seen[line])]
    if crops and answers and memory:
        with quiet(), torch.no_grad():
            work()


def _gone(machine: Machine, busy: list[Any], gain: Tensor) -> None:
    if any(machine.host.seen[line] < n for line, n in busy):
        machine.complain("a context was destroyed while its work may still run")
    _nan([gain])


@functools.cache  # made before a capture, in which it might not be allowed
def _view(address: int, shape: tuple[int, ...], kind: str, device: int) -> Tensor:
    """Memory at an address as a tensor, which does not own it."""
    if HAS_CUDA:
        typestr = {"uint8": "|u1", "float32": "<f4"}[kind]
        interface = {
            "shape": shape,
            "typestr": typestr,
            "data": (address, False),
            "version": 3,
            "strides": None,
        }
        return torch.as_tensor(SimpleNamespace(__cuda_array_interface__=interface), device=f"cuda:{device}")
    c_type = {"uint8": ctypes.c_uint8, "float32": ctypes.c_float}[kind]
    memory = (c_type * int(np.prod(shape))).from_address(address)
    return torch.from_numpy(np.ctypeslib.as_array(memory)).reshape(shape)
