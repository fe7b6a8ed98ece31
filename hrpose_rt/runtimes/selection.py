"""Select the runtime, device and precision of a model: those the user asked for, or suitable ones."""

from dataclasses import dataclass
from importlib.util import find_spec

from hrpose_rt.config import check_execution
from hrpose_rt.errors import BadInput, RuntimeMissing, install_hint
from hrpose_rt.hardware import NO_NVIDIA, nvidia_gpus
from hrpose_rt.nets.spec import RTX_ARCHS

# The precisions of each runtime on each device. "auto" is the first one that the machine supports.
PRECISIONS_OF = {
    ("tensorrt", "cuda"): ("fp16", "fp32", "bf16", "int8"),
    ("openvino", "cpu"): ("bf16", "fp32", "int8"),
    ("openvino", "gpu"): ("fp16", "fp32", "int8"),  # Intel's
    ("openvino", "npu"): ("fp16", "int8"),
    ("onnxruntime", "cpu"): ("fp32", "int8"),
    ("onnxruntime", "cuda"): ("fp32", "fp16"),
    ("torch", "cpu"): ("bf16", "fp32"),
    ("torch", "cuda"): ("fp16", "bf16", "fp32"),
    ("triton", "server"): ("fp32", "bf16", "fp16", "int8"),  # that of the model there
}


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """The runtime, device and precision of a model.

    Attributes:
        runtime: One of `config.RUNTIMES`.
        device: "cpu", "gpu", "npu", "cuda" or "cuda:1".
        precision: One of `config.PRECISIONS`, or "auto" for the first of `PRECISIONS_OF` that the device
            supports.
        reason: The reason for this choice, as text.
    """

    runtime: str
    device: str
    precision: str
    reason: str

    @property
    def kind(self) -> str:
        """The device without its number."""
        return self.device.partition(":")[0]


def select_runtime(
    has_engine: bool,
    runtime: str = "auto",
    precision: str = "auto",
    device: str = "auto",
    has_checkpoint: bool = True,
) -> RuntimeChoice:
    """Choose the runtime and device where they are "auto", and check the combination.

    Args:
        has_engine: Whether there is a file for OpenVINO and ONNX Runtime, and not only a checkpoint.
        runtime, precision: A name, or "auto".
        device: "cpu", "gpu" or "npu" (Intel's), "cuda" or "cuda:1" (NVIDIA's), or "auto".
        has_checkpoint: Whether there is a file for PyTorch.

    Raises:
        BadInput: A name does not exist, or the three do not work together; the message says what does.
        RuntimeMissing: CUDA is asked for, and no library here can use it.
    """
    check_execution(runtime, precision, device)
    reason = "as asked for"
    if runtime == "auto":
        runtime, device, reason = _runtime_for(has_engine, has_checkpoint, precision, device)
    elif device == "auto":
        device = "cuda" if runtime == "tensorrt" else "cpu"
        reason = "the device was left open"
    choice = RuntimeChoice(runtime, device, precision, reason)
    if (runtime, choice.kind) not in PRECISIONS_OF:
        devices = [d for r, d in PRECISIONS_OF if r == runtime]
        others = [r for r, d in PRECISIONS_OF if d == choice.kind]
        raise BadInput(
            f"{runtime} does not run on {choice.kind}: use `device` {' or '.join(devices)}, or `runtime` "
            f"{' or '.join(others)}"
        )
    check_precision(choice, precision)
    return choice


def check_precision(choice: RuntimeChoice, precision: str) -> None:
    """Raise BadInput if the chosen runtime does not compute in `precision` on its device."""
    supported = PRECISIONS_OF[choice.runtime, choice.kind]
    if precision in ("auto", *supported):
        return
    others = [f"{r} on {d}" for (r, d), precisions in PRECISIONS_OF.items() if precision in precisions]
    raise BadInput(
        f"{choice.runtime} on {choice.kind} computes in {' or '.join(supported)}, not in {precision}: use "
        f"`precision` {'fp32' if 'fp32' in supported else supported[0]}, or {', '.join(others)}"
    )


def _runtime_for(
    has_engine: bool, has_checkpoint: bool, precision: str, device: str
) -> tuple[str, str, str]:
    """Choose a runtime and a device, and give the reason. The arguments are those of `select_runtime`."""
    if not has_engine:
        if device == "auto":
            device = "cuda" if _torch_has_cuda() else "cpu"
        return "torch", device, "only PyTorch executes a checkpoint as it is"
    if device in ("gpu", "npu"):
        return "openvino", device, f"OpenVINO drives Intel's {device.upper()}s"
    beside = ""
    if device == "auto" or device.startswith("cuda"):
        on_cuda = "cuda" if device == "auto" else device
        gpus, number = nvidia_gpus(), gpu_number(on_cuda)
        if number < len(gpus):
            name, expected = gpus[number].name, on_cuda if device != "auto" else ""
            if selected := _on_cuda(name, number, has_checkpoint, precision, expected):
                return selected[0], on_cuda, selected[1]
            beside = f"; no library here drives the {name}"
        if device != "auto":
            lacks = f"no library that drives the {name} is here" if beside else _no_gpu(len(gpus))
            raise RuntimeMissing(
                f"`device` {device}: {lacks}; it takes the GPU's driver and "
                f"{install_hint('tensorrt')}, or onnxruntime-gpu in place of onnxruntime"
            )
    if find_spec("openvino"):
        return "openvino", "cpu", f"the first choice on a CPU{beside}"
    if find_spec("onnxruntime"):
        return "onnxruntime", "cpu", f"OpenVINO is not here{beside}"
    return "torch", "cpu", f"neither OpenVINO nor ONNX Runtime is here{beside}"


def _no_gpu(count: int) -> str:
    return f"the driver sees {count}, from cuda:0 on" if count else NO_NVIDIA


def _on_cuda(
    name: str, number: int, has_checkpoint: bool, precision: str, expected: str
) -> tuple[str, str] | None:
    """The best runtime on a GPU of this machine, and the reason; None if there is none.

    Args:
        name, number: Name and number of the GPU.
        has_checkpoint, precision: See `select_runtime`.
        expected: The device, if the user named it. A precision it lacks is then an error, not avoided.
    """
    if tensorrt_format(number) and find_spec("torch"):
        return "tensorrt", f"{name} and TensorRT are here"
    without = "TensorRT is not here"
    if tensorrt_format(number):
        without = "TensorRT needs PyTorch, which is not here"
    elif find_spec("tensorrt_rtx"):
        without = f"TensorRT for RTX has no code for {name}"

    def fits(runtime: str) -> bool:
        return bool(expected) or precision in ("auto", *PRECISIONS_OF[runtime, "cuda"])

    if fits("onnxruntime") and _onnxruntime_has_cuda():
        return "onnxruntime", f"it has CUDA here, and {without}"
    if has_checkpoint and fits("torch") and _torch_has_cuda():
        return "torch", f"it has CUDA here, and {without}"
    return None


def gpu_number(device: str) -> int:
    """The number in a device: 1 in "cuda:1", 0 in "cuda"."""
    return int(device.partition(":")[2] or 0)


def tensorrt_format(number: int = 0) -> str:
    """The engine format of the installed TensorRT library; "" if there is none.

    Args:
        number: Number of the GPU.
    """
    if find_spec("tensorrt"):
        return "tensorrt"
    gpus = nvidia_gpus()[number:]
    newest = not gpus or gpus[0].arch in RTX_ARCHS
    return "tensorrt-rtx" if newest and find_spec("tensorrt_rtx") else ""


def _onnxruntime_has_cuda() -> bool:
    try:
        import onnxruntime
    except ImportError:
        return False
    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def _torch_has_cuda() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return torch.cuda.is_available()
