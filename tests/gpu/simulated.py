"""Two GPUs without a GPU: `torch.cuda` for tests of lifetime and order on a CPU.

`machine()` puts them in place of the parts of `torch.cuda` that this project uses. Their memory is the
host's, poisoned where it is handed out empty, and every operation is carried out at once. Each stream and
the host keep a vector clock: who reads what another may still be writing, or the other way round, is found
by reasoning and not by luck. Where CUDA is, `machine()` replaces nothing and notes nothing.

Not seen: other threads' operations, memory that is given out again too early, TensorRT's own streams.
"""

import contextlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

HAS_CUDA = torch.cuda.is_available()
ALIGNED = 256  # bytes: what TensorRT asks of device memory
POISON = 0xAB


class Line:
    """A stream, or the host: how far it has come, and how far it knows the others to have come."""

    def __init__(self, name: str, device: int = -1, handle: int = 0) -> None:
        self.name, self.device_index, self.handle = name, device, handle
        self.seen: Counter[Line] = Counter()
        self.capturing: Graph | None = None

    def join(self, other: "Line | None", seen: "Counter[Line] | None" = None) -> None:
        self.seen |= seen if other is None else other.seen  # the larger of each


class Machine:
    """The GPUs, the host and the memory; without CUDA they are simulated.

    Attributes:
        complaints: What was done wrong, in words.
        graphs: How many were captured, and in which `capture_error_mode`.
        calls: Operations by name, copies to the device as "upload".
        broken: Set to the words of a CUDA error; every wait then raises it, as after an illegal access.
    """

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.graphs: list[str] = []
        self.calls: Counter[str] = Counter()
        self.broken = ""
        self.host, self.current = Line("the host"), 0
        self.lines = {h: Line(f"cuda:{h - 1}'s default stream", h - 1, h) for h in (1, 2)}
        self.now = {0: self.lines[1], 1: self.lines[2]}  # the current stream of each GPU
        self._handles = itertools.count(7)
        self._places: dict[int, tuple[Any, int]] = {}  # storages by address, which are kept, and their GPU
        self._written: dict[int, tuple[Line, int]] = {}
        self._read: dict[int, dict[Line, int]] = {}

    def complain(self, text: str) -> None:
        if text not in self.complaints:
            self.complaints.append(text)

    @property
    def stream(self) -> Line:
        return self.now[self.current]

    def new_stream(self, device: int) -> Line:
        handle = next(self._handles)
        self.lines[handle] = Line(f"stream {handle} of cuda:{device}", device, handle)
        return self.lines[handle]

    # Memory.

    def on_device(self, tensor: Tensor) -> bool:
        return tensor.untyped_storage().data_ptr() in self._places

    def keep(self, tensor: Tensor) -> Tensor:
        """Take its memory for the current GPU's; it is never given back, so that addresses stay its own."""
        storage = tensor.untyped_storage()
        self._places.setdefault(storage.data_ptr(), (storage, self.current))
        return tensor

    def upload(self, tensor: Tensor, blank: bool = False) -> Tensor:
        """A copy on the current GPU, aligned as CUDA aligns; poison in place of its values if `blank`."""
        size = tensor.numel() * tensor.element_size()
        memory = torch.full((size + ALIGNED,), POISON, dtype=torch.uint8)
        start = -memory.data_ptr() % ALIGNED
        copy = memory[start : start + size].view(tensor.dtype).reshape(tensor.shape)
        if not blank:
            copy.copy_(tensor)
        self.touch(self.stream, [], [self.keep(copy)])
        return copy

    def find(self, address: int, size: int, what: str) -> list[int]:
        """The storage that holds so many bytes from there on, as `touch` takes it."""
        for start, (storage, device) in self._places.items():
            if start <= address < start + max(storage.nbytes(), 1):
                if address + size > start + storage.nbytes():
                    self.complain(
                        f"{what}: {size} bytes are used, {start + storage.nbytes() - address} there"
                    )
                if device != self.current:
                    self.complain(f"{what} lies on cuda:{device}, the work runs on cuda:{self.current}")
                return [start]
        self.complain(f"{what}: there is no device memory at this address")
        return []

    # Order.

    def touch(self, line: Line, reads: list[Any], writes: list[Any], what: str = "an operation") -> None:
        """Note that `line` reads and writes memory now, and complain if others may still be at it."""
        if line is not self.host:
            line.join(self.host)  # the host launches it after all that it has waited for
        line.seen[line] += 1
        reads, writes = ([_place(one) for one in some] for some in (reads, writes))
        for place, verb in [(p, "reads") for p in reads] + [(p, "overwrites") for p in writes]:
            others = [(*self._written[place], "writing")] if place in self._written else []
            if verb == "overwrites":
                others += [(other, n, "reading") for other, n in self._read.get(place, {}).items()]
            for other, n, doing in others:
                if line.seen[other] < n:
                    self.complain(f"{what} on {line.name} {verb} what {other.name} may still be {doing}")
        for place in reads:
            self._read.setdefault(place, {})[line] = line.seen[line]
        for place in writes:
            self._written[place], self._read[place] = (line, line.seen[line]), {}

    def wait(self, *lines: Line) -> None:
        if self.broken:
            raise RuntimeError(self.broken)
        for line in lines:
            self.host.join(line)


def _place(one: Any) -> int:
    return one if isinstance(one, int) else one.untyped_storage().data_ptr()


# --- torch.cuda without CUDA -----------------------------------------------------------------------------


class Graph:
    """What `torch.cuda.CUDAGraph` is: work by address, which keeps nothing alive."""

    machine: Machine

    def __init__(self) -> None:
        self.work: list[Callable[[], Any]] = []

    def replay(self) -> None:
        for step in self.work:
            step()

    def reset(self) -> None:
        self.work.clear()


class _Operations(TorchDispatchMode):
    """Every operation, with the memory it reads and writes."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self._machine = machine

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        machine, kwargs, given = self._machine, kwargs or {}, func._schema.arguments
        named = [*zip(given, args, strict=False), *((a, kwargs[a.name]) for a in given if a.name in kwargs)]
        groups: tuple[list[Tensor], list[Tensor]] = ([], [])
        for argument, value in named:
            groups[bool(argument.alias_info and argument.alias_info.is_write)].extend(_tensors(value))
        reads, writes = groups
        device = any(map(machine.on_device, reads + writes))
        line = machine.stream if device else machine.host

        def made_in(out: Any) -> list[Tensor]:
            known = {_place(tensor) for tensor in reads + writes}
            return [tensor for tensor in _tensors(out) if _place(tensor) not in known]

        def run() -> Any:
            out = func(*args, **kwargs)
            made = made_in(out)
            if made or writes or not _tensors(out):  # else it is a view, which touches nothing
                machine.calls[func._schema.name] += 1
                machine.touch(
                    line, reads, writes + [machine.keep(t) if device else t for t in made], str(func)
                )
            return out

        if not (device and line.capturing):
            return run()
        if writes:
            line.capturing.work.append(run)
            return args[0]
        out = func(*args, **kwargs)  # for its shape: nothing is computed while capturing
        if made := [machine.keep(tensor) for tensor in made_in(out)]:
            for tensor in made:
                tensor.untyped_storage().fill_(POISON)

            def again() -> None:
                with quiet():
                    for old, new in zip(_tensors(out), _tensors(func(*args, **kwargs)), strict=True):
                        old.copy_(new)
                machine.touch(line, reads, made, str(func))

            line.capturing.work.append(again)
        return out


def _tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor) and leaf.numel()]


class _Devices(TorchFunctionMode):
    """Takes "cuda" for the simulated GPUs, and sees what the host reads."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self._machine = machine

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        machine, kwargs = self._machine, dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name == "__deepcopy__":  # its arguments hold all that was copied before, which takes long to map
            return func(*args, **kwargs)
        known = isinstance(args[0], Tensor) and machine.on_device(args[0]) if args else False
        if name == "__get__" and known and func == torch.Tensor.device.__get__:
            return torch.device("cuda", machine._places[_place(args[0])][1])
        if name in ("cpu", "item", "tolist", "numpy", "__array__"):
            line = machine.stream if known else machine.host
            if known and name in ("numpy", "__array__"):
                raise TypeError("a tensor on a GPU is no array: .cpu() first")
            machine.touch(line, [args[0]], [], f"Tensor.{name}")
            machine.wait(*[line] if known else [])
            if name == "cpu":
                with quiet():
                    return args[0].clone()
        wanted = [
            d for d in tree_leaves((args[1:], kwargs)) if isinstance(d, torch.device) and d.type == "cuda"
        ]
        kwargs.pop("pin_memory", None)
        cpu = torch.device("cpu")
        args, kwargs = tree_map(lambda x: cpu if isinstance(x, torch.device) else x, (args, kwargs))
        if not wanted and name != "cuda":
            return func(*args, **kwargs)
        with quiet():
            if known:
                return func(*args, **kwargs)  # it is there
            machine.calls["upload"] += name in ("to", "cuda")
            made = args[0] if name == "cuda" else func(*args, **kwargs)
            return machine.upload(made, blank=name.startswith("empty"))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Inside, operations are those of the stand-in itself: neither seen nor redirected."""
    with _disable_current_modes(), torch._C.DisableTorchFunction():
        yield


def _torch_cuda(machine: Machine) -> dict[str, Any]:
    """The parts of `torch.cuda` that are replaced."""

    def index(device: Any = None) -> int:
        if isinstance(device, str):
            device = torch.device(device)
        found = device.index if isinstance(device, torch.device) else device
        return machine.current if found is None else found

    class Stream:
        def __init__(self, device: Any = None, line: Line | None = None, **_: Any) -> None:
            self.line = line or machine.new_stream(index(device))
            self.cuda_stream = self.line.handle
            self.device = torch.device("cuda", self.line.device_index)

        def synchronize(self) -> None:
            machine.wait(self.line)

        def wait_stream(self, other: "Stream") -> None:
            self.line.join(other.line)

        def wait_event(self, event: "Event") -> None:
            self.line.join(None, event.seen)

        def record_event(self, event: "Event | None" = None) -> "Event":
            event = event or Event()
            event.record(self)
            return event

    class Event:
        def __init__(self, **_: Any) -> None:
            self.seen: Counter[Line] = Counter()

        def record(self, stream: Stream | None = None) -> None:
            self.seen = (stream.line if stream else machine.stream).seen.copy()

        def wait(self, stream: Stream | None = None) -> None:
            (stream.line if stream else machine.stream).join(None, self.seen)

        def synchronize(self) -> None:
            machine.host.join(None, self.seen)

    @contextlib.contextmanager
    def device(which: Any) -> Iterator[None]:
        before, machine.current = machine.current, index(which)
        try:
            yield
        finally:
            machine.current = before

    @contextlib.contextmanager
    def stream(which: Stream) -> Iterator[None]:
        with device(which.line.device_index):
            before, machine.now[machine.current] = machine.stream, which.line
            try:
                yield
            finally:
                machine.now[machine.current] = before

    @contextlib.contextmanager
    def graph(made: Graph, pool: Any, stream: Stream, capture_error_mode: str = "global") -> Iterator[None]:
        machine.graphs.append(capture_error_mode)
        with torch.cuda.stream(stream):
            stream.line.capturing = made
            try:
                yield
            finally:
                stream.line.capturing = None

    def synchronize(which: Any = None) -> None:
        machine.wait(*[line for line in machine.lines.values() if line.device_index == index(which)])

    return {
        "is_available": lambda: True,
        "device_count": lambda: 2,
        "current_device": lambda: machine.current,
        "set_device": lambda which: setattr(machine, "current", index(which)),
        "current_stream": lambda which=None: Stream(line=machine.now[index(which)]),
        "default_stream": lambda which=None: Stream(line=machine.lines[index(which) + 1]),
        "empty_cache": lambda: None,
        "graph_pool_handle": lambda: (0, 0),
        "_sleep": lambda cycles: None,
        "CUDAGraph": Graph,
        **{f.__name__: f for f in (Stream, Event, device, stream, graph, synchronize)},
    }


@contextlib.contextmanager
def machine() -> Iterator[Machine]:
    """The GPU that is here, or two simulated ones."""
    made = Machine()
    if HAS_CUDA:
        yield made
        return
    with mock.patch.multiple(torch.cuda, **_torch_cuda(made)), _Devices(made), _Operations(made):
        yield made
