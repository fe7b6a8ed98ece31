"""Settings of a pipeline and the part of a source to process, validated on creation."""

import math
import os
import re
from dataclasses import dataclass
from typing import Any

from hrpose_rt.errors import BadInput
from hrpose_rt.hardware import usable_cores
from hrpose_rt.nets.onnx_source import PRESETS
from hrpose_rt.nets.zoo import DEFAULT_DETECTOR, DEFAULT_POSE
from hrpose_rt.regions import Region
from hrpose_rt.skeleton import Skeleton, name_of
from hrpose_rt.structures import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Score,
    check_fields,
)

RUNTIMES = ("tensorrt", "openvino", "onnxruntime", "torch", "triton")
DEVICES = ("cuda", "cpu", "gpu", "npu", "server")
PRECISIONS = ("fp32", "bf16", "fp16", "int8")
DECODINGS = ("quarter", "dark", "udp")
MODES: dict[str, dict[str, Any]] = {  # what each trade-off sets; docs/running.md has what it costs
    "fast": {"detect_every": 0},  # auto: by time and motion, so that it fits any frame rate
    "balanced": {},
    "accurate": {"flip_test": True},
}
TRACKERS = ("flow", "ocsort", "bytetrack")
MAX_INPUT_SIDE = 2048  # largest side of a person's crop, in pixels


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a pipeline.

    >>> from hrpose_rt import Settings
    >>> settings = Settings(tracker="bytetrack", budget_ms=33)
    >>> settings.budget_ms, settings.det_score
    (33.0, 0.25)

    Pass them to `stream` or `PosePipeline`. A wrong value raises `BadInput`:

    >>> Settings(det_score=30)
    Traceback (most recent call last):
        ...
    hrpose_rt.errors.BadInput: `det_score` is 30: expected float <= 1.0

    Attributes:
        pose, detector: Embedded names, or paths of checkpoints or engines; a `Path` is accepted. With
            Triton, names on the server.
        runtime: "tensorrt", "openvino", "onnxruntime", "torch", "triton", or "auto": chosen by model and
            machine.
        precision: "fp32", "bf16", "fp16", "int8", or "auto": the fastest on the device that costs hardly
            any accuracy.
        device: "cpu", "gpu" or "npu" (Intel's), "cuda" or "cuda:1" (NVIDIA's), "server" (Triton's),
            or "auto".
        det_score: Detections below this score are left out, in 0..1.
        classes: Numbers of the detector's classes to pose; 0 is people in Ultralytics' detectors.
        max_people: Keep at most this many per frame, best score first; 0 keeps all.
        input_hw: Height and width of the pose network's crops, multiples of 32; None for the model's own.
        decode: "quarter", "dark", "udp", or "auto" for the model's own.
        preset: How an ONNX file made elsewhere is fed and decoded: "rtmpose", "vitpose", "simplebaseline",
            or "auto": what its outputs and a TOML file beside it say.
        flip_test: Average with the mirrored frame and mirrored crops: twice the networks' cost.
        threads: Cores to use; 0 for all that this process may use.
        skeleton: A built-in name, the path of a skeleton file, or "auto" for the model's own; a `Skeleton`
            is accepted.
        tracker: "flow", "ocsort" or "bytetrack".
        memory_s: Seconds for which a lost track may be re-identified; 0 is never.
        max_age_s: Seconds without a detection after which a track is lost.
        detect_every: Run the detector on every Nth frame; 0 decides frame by frame; None is 1, or 0 with
            a budget.
        tiles: "off", "auto", or rows and columns such as "2x3": also search enlarged parts of the frame.
        budget_ms: Milliseconds per frame from memory to poses; 0 is no limit.
        max_pose_age: Frames after which a pose is estimated again, if the budget allows it.
        smooth: Filter the keypoints of videos against jitter.
        region, ignore_region: Leave out people whose feet are outside of the one or inside of the other:
            "x1,y1,x2,y2" in pixels, or the path of a .json file with polygons or of a mask; "" for none.
        boxes: The path of a file with the boxes of all people, which takes the detector's place; "" for the
            detector.
        url: The Triton server, grpc://HOST:8001, or grpcs:// with TLS; "" for other runtimes.
    """

    pose: str = DEFAULT_POSE
    detector: str = DEFAULT_DETECTOR
    runtime: str = "auto"
    precision: str = "auto"
    det_score: Score = 0.25
    max_people: NonNegativeInt = 0
    decode: str = "auto"
    flip_test: bool = False
    threads: NonNegativeInt = 0
    device: str = "auto"
    skeleton: str = "auto"
    tracker: str = "flow"
    memory_s: NonNegativeFloat = 2.0
    max_age_s: NonNegativeFloat = 0.5
    detect_every: NonNegativeInt | None = None
    tiles: str = "off"
    budget_ms: NonNegativeFloat = 0.0
    max_pose_age: PositiveInt = 10
    smooth: bool = True
    input_hw: tuple[int, int] | None = None
    preset: str = "auto"
    region: str = ""
    ignore_region: str = ""
    boxes: str = ""
    classes: tuple[NonNegativeInt, ...] = (0,)
    url: str = ""

    def __post_init__(self) -> None:
        for name in ("pose", "detector", "skeleton", "region", "ignore_region", "boxes"):
            value: Any = getattr(self, name)
            if isinstance(value, os.PathLike):
                object.__setattr__(self, name, os.fsdecode(value))
            elif isinstance(value, Skeleton):
                object.__setattr__(self, name, name_of(value))
        check_fields(self)
        check_execution(self.runtime, self.precision, self.device)
        check_server(self.runtime, self.device, self.url)
        if self.decode not in ("auto", *DECODINGS):
            raise BadInput(f"there is no `decode` {self.decode!r}: choose {', '.join(DECODINGS)}")
        if self.preset not in ("auto", *PRESETS):
            raise BadInput(f"there is no `preset` {self.preset}: choose {', '.join(PRESETS)}")
        if self.tracker not in TRACKERS:
            raise BadInput(f"there is no `tracker` {self.tracker}: choose {' or '.join(TRACKERS)}")
        if self.input_hw is not None:
            check_input_hw(self.input_hw)
        parse_tiles(self.tiles)
        if not self.classes:
            raise BadInput("`classes` is empty: give the numbers of the detector's classes, such as (0,)")
        if self.boxes and self.tiles != "off":
            raise BadInput("`tiles` are searched by a detector, and `boxes` takes its place: leave one out")
        _ = self.regions
        if self.threads and self.threads > (cores := usable_cores()):
            raise BadInput(
                f"{self.threads} threads are asked for: this machine has 1 to {cores}, 0 takes all"
            )

    @classmethod
    def for_mode(cls, mode: str, **fields: Any) -> "Settings":
        """The settings of a trade-off: "fast", "balanced" or "accurate"; fields that you give count more.

        >>> settings = Settings.for_mode("accurate", tiles="auto")
        >>> settings.flip_test, settings.tiles
        (True, 'auto')

        Raises:
            BadInput: There is no such mode, or a field is wrong.
        """
        return cls(**{**mode_fields(mode), **fields})

    @property
    def regions(self) -> tuple[Region | None, Region | None]:
        """`region` and `ignore_region`; None where not given.

        Raises:
            BadInput: One of them is no region.
        """
        both = (self.region, self.ignore_region)
        region, ignored = (Region.parse(text) if text else None for text in both)
        return region, ignored


@dataclass(frozen=True, slots=True)
class Clip:
    """The part of a source to process.

    >>> from hrpose_rt import Clip
    >>> clip = Clip(start=10, end=70, stride=2)
    >>> clip.count(frames=3000, fps=25)
    750

    Pass it to `stream` or `open_source`.

    Attributes:
        start: Seconds from the beginning of the source.
        end: Seconds, exclusive; None for the end of the source.
        stride: Use every Nth frame.
        max_frames: Stop after this many frames; None for all.
        fps: For a folder of images: play it as a video with this rate; None for separate images. Other
            sources have their own rate.
    """

    start: NonNegativeFloat = 0.0
    end: PositiveFloat | None = None
    stride: PositiveInt = 1
    max_frames: PositiveInt | None = None
    fps: PositiveFloat | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        if self.end is not None and self.end <= self.start:
            raise BadInput(
                f"nothing lies between `start` {self.start} and `end` {self.end}: both are seconds, the "
                "end after the start"
            )

    def count(self, frames: int | None, fps: float) -> int | None:
        """The number of `frames` in the clip, as far as it is known beforehand; None if unknown."""
        if frames is not None:
            first = math.ceil(self.start * fps - 1e-6)
            last = frames if self.end is None else min(frames, math.ceil(self.end * fps - 1e-6))
            frames = max(0, math.ceil(last / self.stride) - math.ceil(first / self.stride))
        counts = [n for n in (frames, self.max_frames) if n is not None]
        return min(counts) if counts else None


def mode_fields(mode: str) -> dict[str, Any]:
    """The fields of `Settings` that a mode sets; raise BadInput if there is no such mode."""
    if not isinstance(mode, str) or mode not in MODES:
        raise BadInput(f"there is no `mode` {mode}: choose {', '.join(MODES)}")
    return MODES[mode]


def check_execution(runtime: str, precision: str, device: str) -> None:
    """Raise BadInput unless each is a known name or "auto". The combination is checked with the model."""
    kind, _, number = device.partition(":")
    names = (
        ("runtime", runtime, RUNTIMES),
        ("precision", precision, PRECISIONS),
        ("device", kind, DEVICES),
    )
    for what, name, known in names:
        if name not in ("auto", *known):
            raise BadInput(f"there is no `{what}` {name!r}: choose auto, {', '.join(known)}")
    if number and not (kind == "cuda" and number.isdecimal()):
        raise BadInput(f"there is no `device` {device!r}: GPUs of NVIDIA's have numbers, as in cuda:1")


def check_server(runtime: str, device: str, url: str) -> None:
    """Raise BadInput unless the address of a Triton server is given if and only if it is used."""
    if runtime != "triton":
        if url or device == "server":
            raise BadInput("`url` and `device` server are for `runtime` triton: add it, or leave them out")
    elif device not in ("auto", "server"):
        raise BadInput(f"a Triton server chooses its device: leave out `device` {device}")
    elif not url:
        raise BadInput("`runtime` triton needs the server's address: add `url` grpc://HOST:8001")


def check_input_hw(input_hw: tuple[int, int]) -> None:
    """Raise BadInput unless it is a valid input size (height, width) of a pose network."""
    h, w = input_hw
    if min(h, w) < 32 or max(h, w) > MAX_INPUT_SIDE or h % 32 or w % 32:
        raise BadInput(
            f"`input_hw` {h}x{w} is no size for a pose network: give HEIGHTxWIDTH in multiples of 32 up to "
            f"{MAX_INPUT_SIDE}, such as 256x192"
        )


def parse_tiles(mode: str) -> tuple[int, int]:
    """Rows and columns of `tiles`; 1, 1 for "off" and "auto"."""
    if mode in ("off", "auto"):
        return 1, 1
    match = re.fullmatch(r"([1-9])x([1-9])", mode)
    if not match:
        raise BadInput(f"`tiles` is auto, off, or rows and columns such as 2x3, not {mode}")
    return int(match[1]), int(match[2])


def seconds_of(text: str) -> float:
    """Seconds, also as minutes:seconds or hours:minutes:seconds.

    >>> seconds_of("2.5"), seconds_of("1:30"), seconds_of("1:00:02")
    (2.5, 90.0, 3602.0)

    Raises:
        ValueError: The text is no such time.
    """
    try:
        parts = [float(part) for part in text.split(":")]
        if len(parts) > 3 or any(not 0 <= part < 60 for part in parts[1:]):
            raise ValueError
    except ValueError:
        raise ValueError(f"{text} is no time: give seconds, or minutes:seconds") from None
    return float(sum(part * 60**i for i, part in enumerate(reversed(parts))))
