"""What several tests use: made videos, the packaged photos, the development data."""

from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from hrpose_rt.hardware import nvidia_gpus

DATA = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def data() -> Path:
    """The development data beside the checkout; the test is skipped where there is none."""
    if not (DATA / "clips").is_dir():
        pytest.skip(f"no development data at {DATA}")
    return DATA


@pytest.fixture(scope="session")
def photos() -> Path:
    """The folder of photos that the ultralytics package ships (bus.jpg with four people and more)."""
    spec = find_spec("ultralytics")  # finds the package without importing it
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the ultralytics package, whose photos this needs, is not installed")
    return Path(spec.submodule_search_locations[0]) / "assets"


no_gpu = pytest.mark.skipif(bool(nvidia_gpus()), reason="an NVIDIA GPU is here")


def write_video(
    path: Path,
    frames: int = 10,
    size_wh: tuple[int, int] = (64, 48),
    fps: int = 10,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    times: list[float] | None = None,
) -> Path:
    """A video whose frames are grey, each 20 levels brighter; `times` in seconds make its rate vary."""
    import av  # not everywhere where a GPU is

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height = size_wh
        stream.pix_fmt = pix_fmt
        for i in range(frames):
            picture = np.full((size_wh[1], size_wh[0], 3), min(20 * i, 255), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            if times:
                frame.pts, frame.time_base = round(times[i] * fps), Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Ten frames of 64x48 at 10 a second; frame i is grey of level 20 i."""
    return write_video(tmp_path / "video.mp4")
