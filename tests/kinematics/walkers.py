"""Made people for the tests of movement: files of JSON lines, and tracks."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hrpose_rt.kinematics.recording import Track
from hrpose_rt.skeleton import COCO17

# A person of COCO's joints who stands and looks to the right, in pixels; feet on the ground.
STANDING = {
    "nose": (110, 20),
    "left_eye": (108, 18),
    "right_eye": (108, 18),
    "left_ear": (100, 20),
    "right_ear": (100, 20),
    "left_shoulder": (100, 40),
    "right_shoulder": (100, 40),
    "left_elbow": (100, 70),
    "right_elbow": (100, 70),
    "left_wrist": (100, 100),
    "right_wrist": (100, 100),
    "left_hip": (100, 100),
    "right_hip": (100, 100),
    "left_knee": (100, 140),
    "right_knee": (100, 140),
    "left_ankle": (100, 180),
    "right_ankle": (100, 180),
}
PLACES = np.array([STANDING[joint] for joint in COCO17.joints], np.float64)  # (17, 2)
FPS = 25.0


def track(keypoints: np.ndarray, person: int = 0) -> Track:
    """A person at 25 frames per second, from keypoints (T, 17, 2); NaN is unknown."""
    frames = np.arange(len(keypoints))
    scores = np.where(np.isnan(keypoints[..., 0]), np.nan, 0.9)
    return Track(person, frames, frames / FPS, keypoints.astype(np.float64), scores, FPS)


def walking(frames: int, px_a_frame: float = 2.0) -> np.ndarray:
    """Keypoints (T, 17, 2) of the standing person, moved to the right."""
    steps = np.zeros((frames, 1, 2))
    steps[:, 0, 0] = px_a_frame * np.arange(frames)
    return np.asarray(PLACES + steps)


def write_jsonl(
    path: Path,
    people: Mapping[int, np.ndarray],
    frames: Sequence[int] | None = None,
    header: Mapping[str, object] | None = None,
) -> Path:
    """A file of JSON lines with people (T, 17, 2) by id; people are away where all is NaN."""
    numbers = frames or list(range(max(len(each) for each in people.values())))
    first = {"hrpose": "0", "schema": 1, "source": "v.mp4", "width": 640, "height": 200, "fps": FPS}
    lines: list[dict[str, object]] = [{**first, "skeleton": "coco17", **(header or {})}]
    for row, number in enumerate(numbers):
        there = []
        for person, keypoints in people.items():
            if row >= len(keypoints) or np.isnan(keypoints[row]).all():
                continue
            values = [[0.0, 0.0, 0.0] if np.isnan(x) else [x, y, 0.9] for x, y in keypoints[row].tolist()]
            there.append({"id": person, "box": [0, 0, 9, 9], "keypoints": values})
        lines.append({"frame": number, "time_s": number / FPS, "people": there})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path
