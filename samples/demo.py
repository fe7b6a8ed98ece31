"""`make demo`: people and poses in a sample video or in VIDEO.

    python samples/demo.py [VIDEO]

Writes `annotated.mp4`, `poses.jsonl`, `report.json` and `skeletons.png` to the folder `demo/`. The sample
video is made from the photos in the ultralytics package.
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
from sample_video import make_sample_video

import hrpose_rt
from hrpose_rt.cli.exit import fail
from hrpose_rt.cli.main import build_app

DEMO = Path(__file__).parents[1] / "demo"
BACKGROUND = (32, 28, 24)  # BGR


def main(video: Path | None) -> int:
    DEMO.mkdir(exist_ok=True)
    if video is None:
        video = make_sample_video(DEMO / "sample.mp4")
    outputs = {name: DEMO / name for name in ("annotated.mp4", "poses.jsonl", "report.json")}
    save, lines, report = (str(path) for path in outputs.values())
    arguments = ["run", str(video), "--save", save, "--json", lines, "--report", report, "--overwrite"]
    try:
        status = build_app()(arguments, standalone_mode=False) or 0
        if status == 0:
            draw_fullest_frame(Path(lines), video, DEMO / "skeletons.png")
    except hrpose_rt.HrposeError as error:
        return fail(error)
    print(f"in {DEMO}: {', '.join(sorted(path.name for path in DEMO.iterdir()))}")
    return status


def draw_fullest_frame(lines: Path, video: Path, picture: Path) -> None:
    """Draw the frame with the most people, as skeletons on an empty canvas."""
    with lines.open() as file:
        next(file)  # information about the source
        frames = [json.loads(line) for line in file]
    fullest = max(frames, key=lambda frame: len(frame["people"]))
    seen = fullest["time_s"]
    clip = hrpose_rt.Clip(start=max(0.0, seen - 0.5), end=seen + 1e-3)  # long enough for people to get ids
    *_, result = hrpose_rt.stream(str(video), clip=clip)
    canvas = np.full_like(result.frame.image, BACKGROUND)
    cv2.imwrite(str(picture), result.draw(canvas))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else None))
