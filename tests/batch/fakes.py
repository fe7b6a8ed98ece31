"""Pipelines for workers, which find them by name: they pose without networks, or misbehave."""

import os
import signal
import time
from pathlib import Path

from hrpose_rt.config import Settings
from hrpose_rt.errors import BadInput
from hrpose_rt.pipeline import PosePipeline
from tests.batch import storage  # noqa: F401  # workers know its protocol, too
from tests.fakes import FakeDetector, fake_networks


def fake_pipeline(settings: Settings) -> PosePipeline:
    """Finds two, no and seven people in turn."""
    return PosePipeline(settings, networks=fake_networks([2, 0, 7]))


def no_pipeline(settings: Settings) -> PosePipeline:
    """A network that is missing."""
    raise BadInput("there is no network: fetch one")


def killed_at_start(settings: Settings) -> PosePipeline:
    """As if memory had run out while the networks were loaded."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def steady_pipeline(settings: Settings) -> PosePipeline:
    """Finds three people on every frame."""
    return PosePipeline(settings, networks=fake_networks([3]))


class _Slow(FakeDetector):
    def detect(self, *arguments, **more):
        time.sleep(0.01)
        return super().detect(*arguments, **more)


def slow_pipeline(settings: Settings) -> PosePipeline:
    """Takes ten milliseconds a frame."""
    networks = fake_networks()
    networks.detector = _Slow([2, 0, 7])
    return PosePipeline(settings, networks=networks)


class _Deadly(FakeDetector):
    """Kills its process on a frame of the brightness that a file names, until that file is gone."""

    def detect(self, image, *arguments, **more):
        trap = Path(os.environ["TEST_TRAP"])
        if trap.exists() and image.mean() > 250:
            if not os.environ.get("TEST_TRAP_STAYS"):
                trap.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().detect(image, *arguments, **more)


def deadly_pipeline(settings: Settings) -> PosePipeline:
    """Dies on a white frame as long as there is a trap."""
    networks = fake_networks()
    networks.detector = _Deadly([2, 0, 7])
    return PosePipeline(settings, networks=networks)
