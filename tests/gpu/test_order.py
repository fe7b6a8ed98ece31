"""The engine's stream and its caller's: nobody reads what is being written, or the reverse."""

import numpy as np
import pytest
import torch

from hrpose_rt.runtimes.base import DeviceRuntime
from tests.gpu.conftest import Bench
from tests.gpu.library import DELAY
from tests.gpu.simulated import HAS_CUDA

pytestmark = [pytest.mark.gpu] if HAS_CUDA else []


@pytest.fixture(params=["tensorrt", "torch"])
def runtime(request: pytest.FixtureRequest, bench: Bench) -> DeviceRuntime:
    """An engine, or PyTorch's graphs. Both compute on a stream of their own."""
    opened = bench.open() if request.param == "tensorrt" else bench.open_torch()
    opened.infer(bench.pictures(3, 1))  # PyTorch captures at the first use
    return opened


def keep_busy() -> None:
    """Give the caller's stream something that takes a while."""
    torch.cuda._sleep(2 * DELAY)


def test_engine_stream_waits_for_input_crops(runtime: DeviceRuntime, bench: Bench) -> None:
    wanted = bench.pictures(3)
    turned = bench.put(np.ascontiguousarray(wanted[:, :, ::-1]))
    torch.full_like(turned, 0xAB)  # what the memory of the crops holds before they are made
    torch.cuda.synchronize()
    keep_busy()
    found = runtime.infer_device(turned.flip(2))
    torch.cuda.synchronize()
    bench.check(found.cpu().numpy(), bench.answers(wanted))


def test_caller_stream_waits_for_engine_output(runtime: DeviceRuntime, bench: Bench) -> None:
    crops = bench.put(bench.pictures(3))
    torch.cuda.synchronize()
    bench.check(runtime.infer_device(crops).float().cpu().numpy(), bench.answers(bench.pictures(3)))


@pytest.mark.parametrize("again", ["device", "host"])
def test_next_inference_waits_for_readers_of_last_output(
    again: str, runtime: DeviceRuntime, bench: Bench
) -> None:
    one = bench.put(bench.pictures(3))
    torch.cuda.synchronize()
    first = runtime.infer_device(one)
    torch.cuda.synchronize()
    keep_busy()
    kept = first.clone()
    if again == "device":
        runtime.infer_device(bench.put(bench.pictures(3, 1)))
    else:
        runtime.infer(bench.pictures(3, 1))
    torch.cuda.synchronize()
    bench.check(kept.cpu().numpy(), bench.answers(bench.pictures(3)))
