"""PyTorch as CUDA graphs: numbers, memory, and what cannot be captured. `test_order.py` has their order."""

from unittest import mock

import numpy as np
import pytest
from torch import Tensor, nn

from hrpose_rt.config import Settings
from hrpose_rt.errors import RunBroken
from hrpose_rt.networks import open_pose
from hrpose_rt.runtimes.torch_graphs import GraphRuntime
from tests.gpu.conftest import Bench
from tests.gpu.networks import SmallPoseNet
from tests.gpu.simulated import HAS_CUDA

pytestmark = [pytest.mark.gpu] if HAS_CUDA else []


@pytest.mark.parametrize("n", [1, 3, 8, 13, 130])
def test_graph_outputs_equal_plain_network(n: int, bench: Bench) -> None:
    runtime = bench.open_torch()
    bench.check(runtime.infer(bench.pictures(n)), bench.answers(bench.pictures(n)))
    again = runtime.infer_device(bench.put(bench.pictures(n, 1))).cpu().numpy()
    bench.check(again, bench.answers(bench.pictures(n, 1)))


def test_each_batch_size_is_captured_once(bench: Bench) -> None:
    runtime = bench.open_torch()
    with mock.patch.object(SmallPoseNet, "forward", autospec=True, side_effect=SmallPoseNet.forward) as run:
        for n in (5, 8, 6, 7, 1, 5):
            runtime.infer(bench.pictures(n))
    assert run.call_count == 2 * 3  # for 8 and for 1: its setup, the output to compare, the capture
    if not HAS_CUDA:
        assert bench.gpu.graphs == ["thread_local"] * 2


def test_network_that_reads_the_device_runs_uncaptured(bench: Bench) -> None:
    class Waits(SmallPoseNet):
        def forward(self, crops: Tensor) -> Tensor:
            return super().forward(crops) * float(crops.float().mean() >= 0)

    runtime = GraphRuntime(Waits(), "fp32", 2, "cuda:0")
    for seed in (0, 1):
        bench.check(runtime.infer(bench.pictures(3, seed)), bench.answers(bench.pictures(3, seed)))


def test_graph_keeps_what_another_input_size_replaces(bench: Bench) -> None:
    class Anchored(nn.Module):
        """Keeps the anchors of the last input size as a plain attribute, as Ultralytics' heads do."""

        shape: tuple[int, ...] = ()

        def forward(self, pictures: Tensor) -> Tensor:
            if self.shape != pictures.shape:
                self.shape = tuple(pictures.shape)
                self.anchors = pictures.float().mean((0, 3)) * 0 + pictures.shape[1]
            return pictures.float().mean(3) * 0 + self.anchors

    runtime = GraphRuntime(Anchored(), "fp32", 2, "cuda:0")
    for side in (32, 64, 32, 64):
        found = runtime.infer(np.zeros((1, side, 24, 3), np.uint8))
        bench.check(found, np.full((1, side, 24), side, np.float32))
    assert len({tensor.data_ptr() for tensor in runtime._kept}) == 2


def test_infer_after_close_raises_run_broken(bench: Bench) -> None:
    runtime = bench.open_torch()
    runtime.infer(bench.pictures(2))
    runtime.close()
    runtime.close()
    assert not runtime._steps
    with pytest.raises(RunBroken, match="was closed: open it again"):
        runtime.infer(bench.pictures(1))


def test_embedded_pose_network_opens_as_graphs(bench: Bench) -> None:
    settings = Settings(runtime="torch", device="cuda:0", precision="fp32")
    estimator, info = open_pose(settings)
    with estimator:
        assert isinstance(estimator._runtime, GraphRuntime) and info.device == "cuda:0"
