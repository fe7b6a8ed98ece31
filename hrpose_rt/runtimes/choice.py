"""Which runtime, device and precision a model is executed with: the user's wishes, or what suits here."""

from dataclasses import dataclass

from hrpose_rt.errors import BadInput, RuntimeMissing

# What every runtime computes in on each of its devices, its own choice first where the machine has it.
PRECISIONS_OF = {
    ("openvino", "cpu"): ("bf16", "fp32"),
    ("openvino", "gpu"): ("fp16", "fp32"),  # Intel's
    ("openvino", "npu"): ("fp16",),
    ("onnxruntime", "cpu"): ("fp32",),
    ("onnxruntime", "cuda"): ("fp32",),
    ("torch", "cpu"): ("bf16", "fp32"),
    ("torch", "cuda"): ("fp16", "bf16", "fp32"),
}
RUNTIMES = tuple(dict.fromkeys(runtime for runtime, _ in PRECISIONS_OF))
DEVICES = tuple(dict.fromkeys(device for _, device in PRECISIONS_OF))
PRECISIONS = ("fp32", "bf16", "fp16")


@dataclass(frozen=True, slots=True)
class Choice:
    """How a model is executed.

    Attributes:
        runtime: One of `RUNTIMES`.
        device: "cpu", "gpu", "npu", "cuda" or "cuda:1".
        precision: One of `PRECISIONS`, or "auto" for the fastest of `PRECISIONS_OF` that the device has.
        why: What led to it, in words.
    """

    runtime: str
    device: str
    precision: str
    why: str

    @property
    def kind(self) -> str:
        """The device without its number."""
        return self.device.partition(":")[0]


def choose(
    has_engine: bool, runtime: str = "auto", precision: str = "auto", device: str = "auto"
) -> Choice:
    """Settle what is left open.

    Args:
        has_engine: Whether there is a file for OpenVINO and ONNX Runtime, or a checkpoint alone.
        runtime, precision: A name, or "auto".
        device: "cpu", "gpu" or "npu" (Intel's), "cuda" or "cuda:1" (NVIDIA's), or "auto".

    Raises:
        BadInput: There is no such name, or the three do not go together; the message says what does.
        RuntimeMissing: CUDA is asked for, and no library here can use it.
    """
    kind, _, number = device.partition(":")
    _check("runtime", runtime, RUNTIMES)
    _check("precision", precision, PRECISIONS)
    _check("device", kind, DEVICES)
    if number and not (kind == "cuda" and number.isdecimal()):
        raise BadInput(f"there is no device {device!r}: GPUs of NVIDIA's have numbers, as in cuda:1")
    why = "as asked for"
    if runtime == "auto":
        runtime, device, why = _runtime_for(has_engine, device)
    elif device == "auto":
        device, why = "cpu", "--device was left open"
    choice = Choice(runtime, device, precision, why)
    if (runtime, choice.kind) not in PRECISIONS_OF:
        devices = [d for r, d in PRECISIONS_OF if r == runtime]
        others = [r for r, d in PRECISIONS_OF if d == choice.kind]
        raise BadInput(
            f"{runtime} does not run on {choice.kind}: use --device {' or '.join(devices)}, or --runtime "
            f"{' or '.join(others)}"
        )
    if precision not in ("auto", *PRECISIONS_OF[runtime, choice.kind]):
        here = PRECISIONS_OF[runtime, choice.kind]
        others = [f"{r} on {d}" for (r, d), found in PRECISIONS_OF.items() if precision in found]
        raise BadInput(
            f"{runtime} on {choice.kind} computes in {' or '.join(here)}, not in {precision}: use "
            f"--precision {here[-1]}, or {', '.join(others)}"
        )
    return choice


def _runtime_for(has_engine: bool, device: str) -> tuple[str, str, str]:
    """A runtime and a device for a model, and why these."""
    if not has_engine:
        if device == "auto":
            device = "cuda" if _torch_has_cuda() else "cpu"
        return "torch", device, "a checkpoint is what PyTorch executes"
    if device in ("gpu", "npu"):
        return "openvino", device, f"OpenVINO drives Intel's {device.upper()}s"
    if device.startswith("cuda"):
        if not _onnxruntime_has_cuda():
            raise RuntimeMissing(
                f"--device {device} needs ONNX Runtime with CUDA, and it is not here: pip install "
                "onnxruntime-gpu in place of onnxruntime, or add --runtime torch with a checkpoint"
            )
        return "onnxruntime", device, "it has CUDA here"
    if device == "auto" and _onnxruntime_has_cuda():
        return "onnxruntime", "cuda", "it has CUDA here"
    return "openvino", "cpu", "the first choice for an engine on a CPU"


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


def _check(what: str, name: str, known: tuple[str, ...]) -> None:
    if name not in ("auto", *known):
        raise BadInput(f"there is no {what} {name!r}: choose auto, {', '.join(known)}")
