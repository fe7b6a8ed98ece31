"""A bench with a GPU, real or simulated, and what is opened on it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hrpose_rt.nets.spec import EngineSpec
from hrpose_rt.runtimes.cuda_frames import FrameUploader
from hrpose_rt.runtimes.torch_eager import EagerRuntime
from hrpose_rt.runtimes.torch_graphs import GraphRuntime
from hrpose_rt.runtimes.trt import TrtRuntime
from tests.gpu.library import Library
from tests.gpu.networks import NETWORKS, SmallDetector, SmallPoseNet, plan
from tests.gpu.simulated import HAS_CUDA, Machine, machine

MAPS = SmallPoseNet.heatmap_hw
POSE = EngineSpec("small", "pose", (SmallPoseNet.input_hw,), "fp32", "", "coco17", MAPS, format="tensorrt")
DETECTOR = EngineSpec("small", "detection", (SmallDetector.input_hw,), "fp32", "", format="tensorrt")


class Bench:
    """Opens engines, and knows what they should answer.

    Attributes:
        gpu: Where; its complaints are looked at by `check`.
        device: Its first GPU.
    """

    def __init__(self, gpu: Machine, folder: Path) -> None:
        self.gpu, self._folder = gpu, folder
        self.device = torch.device("cuda:0")

    def open(
        self, spec: EngineSpec = POSE, device: str = "cuda:0", library: Library | None = None, **file: Any
    ) -> TrtRuntime:
        """An engine; its contexts never die unless a library is given, so that a test is about one thing.

        Args:
            spec, device, library: As `TrtRuntime` takes them.
            **file: As `networks.plan` takes them.
        """
        if spec.task == "detection":
            file = {"network": "detector", "input_hw": SmallDetector.input_hw, "output": (3, 6), **file}
        path = self._folder / f"{len(list(self._folder.iterdir()))}.engine"
        path.write_bytes(plan(**file))
        return TrtRuntime(path, spec, device, library or self.library())

    def open_torch(self, network: str = "pose") -> GraphRuntime:
        """A network in PyTorch, as CUDA graphs."""
        return GraphRuntime(NETWORKS[network](), "fp32", 2, "cuda:0")

    def library(self, version: str = "11.4", **how: Any) -> Library:
        """A library whose contexts are kept alive."""
        return Library(self.gpu, version, **{"keep_contexts": True, **how})

    def pictures(self, n: int, seed: int = 0) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, 256, (n, *SmallPoseNet.input_hw, 3), np.uint8)

    def put(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device)

    def answers(self, crops: np.ndarray) -> np.ndarray:
        """What the pose network answers where nothing can race."""
        with torch.no_grad():
            return np.asarray(NETWORKS["pose"]().eval()(torch.from_numpy(crops)).numpy())

    def by_itself(self, network: str) -> tuple[EagerRuntime, FrameUploader]:
        """A network as PyTorch runs it, without streams, and uploads for it."""
        device = "cuda:0" if HAS_CUDA else "cpu"
        return EagerRuntime(NETWORKS[network](), "fp32", 2, device), FrameUploader(torch.device(device))

    def check(self, found: np.ndarray, wanted: np.ndarray) -> None:
        """Assert that numbers agree and that nobody complained."""
        np.testing.assert_allclose(found, wanted, atol=2e-3, err_msg="; ".join(self.gpu.complaints))
        assert not self.gpu.complaints


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A bench with a home of its own."""
    monkeypatch.setenv("HRPOSE_HOME", str(tmp_path / "home"))
    (tmp_path / "engines").mkdir()
    with machine() as gpu:
        yield Bench(gpu, tmp_path / "engines")


def frame(seed: int = 0, hw: tuple[int, int] = (96, 128)) -> np.ndarray:
    """A picture of noise."""
    return np.random.default_rng(seed).integers(0, 256, (*hw, 3), np.uint8)


def people(n: int) -> np.ndarray:
    """Boxes (N, 4) inside a `frame`."""
    x = np.linspace(0, 90, n)
    return np.stack([x, x / 4, x + 24, x / 4 + 60], 1).astype(np.float32)
