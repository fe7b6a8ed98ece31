"""Settings: every rule holds when they are made."""

import pytest

from hrpose_rt.config import DECODINGS, DEVICES, PRECISIONS, RUNTIMES, TRACKERS, Settings
from hrpose_rt.errors import BadInput
from hrpose_rt.pose.heatmaps import HEATMAP_DECODERS
from hrpose_rt.runtimes.selection import PRECISIONS_OF
from hrpose_rt.tracking.library_trackers import ASSOCIATORS


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tracker": "sort"}, "no `tracker` sort: choose flow or ocsort or bytetrack"),
        ({"tiles": "4"}, "`tiles` is auto, off, or rows and columns such as 2x3, not 4"),
        ({"budget_ms": -1.0}, r"`budget_ms` is -1\.0: expected float >= 0"),
        ({"memory_s": -1.0}, r"`memory_s` is -1\.0: expected float >= 0"),
        ({"max_age_s": float("nan")}, "`max_age_s` is nan: expected float >= 0"),
        ({"max_age_s": float("inf")}, "`max_age_s` is inf: expected float <= 1000000000"),
        ({"max_pose_age": 0}, "`max_pose_age` is 0: expected int >= 1"),
        ({"detect_every": -2}, "`detect_every` is -2: expected int >= 0"),
        ({"decode": "best"}, "no `decode` 'best': choose quarter, dark, udp"),
        ({"det_score": 1.5}, r"`det_score` is 1\.5: expected float <= 1\.0"),
        ({"max_people": -1}, "`max_people` is -1: expected int >= 0"),
        ({"runtime": "tvm"}, "no `runtime` 'tvm': choose auto, tensorrt, openvino, onnxruntime, torch"),
        ({"precision": "int4"}, "no `precision` 'int4': choose auto, fp32, bf16, fp16, int8"),
        ({"device": "tpu"}, "no `device` 'tpu': choose auto, cuda, cpu, gpu, npu"),
        ({"device": "npu:1"}, "no `device` 'npu:1': GPUs of NVIDIA's have numbers, as in cuda:1"),
        ({"input_hw": (100, 96)}, "`input_hw` 100x96 is no size for a pose network: give HEIGHTxWIDTH"),
        ({"threads": 10_000}, "10000 threads are asked for: this machine has 1 to [0-9]+, 0 takes all"),
    ],
)
def test_settings_reject_invalid_values_when_made(values, message) -> None:
    with pytest.raises(BadInput, match=message):
        Settings(**values)


def test_settings_names_are_those_that_are_implemented() -> None:
    assert set(DECODINGS) == set(HEATMAP_DECODERS)
    assert set(TRACKERS) == set(ASSOCIATORS)
    assert {runtime for runtime, _ in PRECISIONS_OF} == set(RUNTIMES)
    assert {device for _, device in PRECISIONS_OF} == set(DEVICES)
    assert {name for names in PRECISIONS_OF.values() for name in names} == set(PRECISIONS)


@pytest.mark.parametrize("mode", ["slow", None, ["fast"]])
def test_what_is_no_mode_is_refused(mode) -> None:
    with pytest.raises(BadInput, match="there is no `mode`"):
        Settings.for_mode(mode)
