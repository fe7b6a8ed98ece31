"""Make a short video from the photos in the ultralytics package: a few people, then more and more.

    python samples/sample_video.py OUT.mp4

The package is located without importing it, so its dependencies need not be installed.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

import av
import cv2
import numpy as np

SIZE_WH = (1280, 720)
FPS = 25
SCENE_S = 2.0
BACKGROUND = (40, 36, 32)  # BGR


def packaged_photos() -> list[np.ndarray]:
    """The photos, as BGR."""
    spec = find_spec("ultralytics")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("the demo's photos come with ultralytics: pip install --no-deps ultralytics")
    assets = Path(spec.submodule_search_locations[0]) / "assets"
    photos = [cv2.imread(str(path)) for path in sorted(assets.glob("*.jpg"))]
    if not photos:
        sys.exit(f"{assets} holds no photos: pip install --force-reinstall --no-deps ultralytics")
    return photos


def mosaic(photo: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The photo and its mirror image, alternating, in `rows` and `columns`."""
    pair = (photo, photo[:, ::-1])
    return np.vstack(
        [np.hstack([pair[(row + column) % 2] for column in range(columns)]) for row in range(rows)]
    )


def show(picture: np.ndarray, share: float) -> np.ndarray:
    """The whole image in the video's frame, zooming in and drifting as `share` goes 0..1."""
    h, w = picture.shape[:2]
    scale = min(SIZE_WH[0] / w, SIZE_WH[1] / h)
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    h, w = picture.shape[:2]
    zoom = 1 + 0.1 * share
    x = (SIZE_WH[0] - w * zoom) / 2 + 40 * (share - 0.5)
    y = (SIZE_WH[1] - h * zoom) / 2
    matrix = np.array([[zoom, 0, x], [0, zoom, y]])
    return cv2.warpAffine(picture, matrix, SIZE_WH, borderValue=BACKGROUND)


def make_sample_video(path: Path) -> Path:
    """Write the video and return its path."""
    photos = packaged_photos()
    photos.sort(key=lambda photo: photo.shape[1] / photo.shape[0])  # first people from head to foot
    scenes = [*photos, mosaic(photos[0], 1, 2), mosaic(photos[0], 2, 4)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height = SIZE_WH
        stream.pix_fmt = "yuv420p"
        count = round(SCENE_S * FPS)
        for scene in scenes:
            for i in range(count):
                frame = av.VideoFrame.from_ndarray(show(scene, i / (count - 1)), format="bgr24")
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(make_sample_video(Path(sys.argv[1])))
