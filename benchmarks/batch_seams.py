"""Whether people keep their ids where `hrpose-rt batch --split` cuts a video, on scenes with ground truth.

    python benchmarks/batch_seams.py benchmarks/results/batch_seams.json

Each scene has one cut, at a random frame. It is run once as a whole and once as two parts, which are joined
as a batch does it. A person's id before the cut is the most frequent one of the second before it; the id
after it is that of the first frames with one, within a second. The whole run shows how many ids change at
such a moment anyway. Every other scene has occluders, which hide up to two fifths of the people at a time.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import typer

from hrpose_rt import PosePipeline, Settings
from hrpose_rt.batch.join import joined
from hrpose_rt.batch.options import LEAD_S
from hrpose_rt.batch.split import PartWriter, StoredPart
from hrpose_rt.bench.cutouts import Cutout, cut_out
from hrpose_rt.bench.id_metrics import IdMetrics
from hrpose_rt.bench.scenes import FPS, Scene, Truth
from hrpose_rt.export.examples import packaged_photos
from hrpose_rt.hardware import cpu_features, cpu_name, usable_cores
from hrpose_rt.networks import open_networks
from hrpose_rt.result import FrameResult
from hrpose_rt.skeleton import Skeleton
from hrpose_rt.types import Frame

SCENES = {3: 12, 8: 10, 18: 6, 50: 4}  # by people in them; half of them with occluders
SECOND = round(FPS)
LEAD = round(LEAD_S * FPS)
BEFORE, AFTER = 7 * SECOND, 2 * SECOND  # frames that are run on both sides of a cut
FIRST = 5  # frames with an id that decide which id a person has after the cut


def main(output: Path) -> None:
    """Measure all scenes and write the counts."""
    report: dict[str, Any] = {"created": datetime.now(UTC).isoformat(timespec="seconds"), "people": {}}
    report |= {"threads": usable_cores(), "cpu": cpu_name(), "cpu_features": list(cpu_features())}
    with open_networks(Settings()) as networks:
        report["models"] = networks.info.to_dict()["models"]
        cutouts = cut_out(packaged_photos(), networks)
        pipeline = PosePipeline(Settings(), networks)
        for people, scenes in SCENES.items():
            counts: dict[str, Counter[str]] = {"split": Counter(), "whole": Counter()}
            for number in range(scenes):
                for way, results in run_both(pipeline, cutouts, people, number).items():
                    counts[way].update(results)
            report["people"][str(people)] = {"cuts": scenes, **counts}
            print(people, counts, flush=True)
    output.write_text(json.dumps(report, indent=1) + "\n")


def run_both(
    pipeline: PosePipeline, cutouts: Sequence[Cutout], people: int, number: int
) -> dict[str, Counter[str]]:
    """The outcomes at the cut of a scene that is run in two parts, and as a whole."""
    rng = np.random.default_rng((people, number))
    cut = BEFORE + int(rng.integers(4 * SECOND))
    scene = Scene(cutouts, people, seed=100 + number, occluders=number % 2 == 1)
    film = [scene.frame_and_truth(i) for i in range(cut - BEFORE, cut + AFTER)]
    frames, truths = [frame for frame, _ in film], [truth for _, truth in film]
    whole = run(pipeline, scene, frames)
    second = run(pipeline, scene, frames[BEFORE - LEAD :])
    split = join(whole[:BEFORE], second, whole[0].skeleton)
    return {"split": outcomes(split, truths, BEFORE), "whole": outcomes(whole, truths, BEFORE)}


def run(pipeline: PosePipeline, scene: Scene, frames: Iterable[Frame]) -> list[FrameResult]:
    """The results of a video of these frames."""
    with pipeline.begin(scene.info) as session:
        return [session.process(frame) for frame in frames]


def join(first: list[FrameResult], second: list[FrameResult], skeleton: Skeleton) -> list[FrameResult]:
    """Two parts as one, through files as in a batch."""
    with tempfile.TemporaryDirectory() as folder:
        parts = []
        for number, results in enumerate((first, second)):
            writer, path = PartWriter(), Path(folder) / f"{number}.npz"
            for result in results:
                writer.write(result)
            writer.save(path, {})
            parts.append(StoredPart(path))
        return list(joined(parts, skeleton))


def outcomes(results: Sequence[FrameResult], truths: Sequence[Truth], cut: int) -> Counter[str]:
    """How many people have their own id after the cut, another person's, or a new one.

    Args:
        results, truths: Of each frame.
        cut: The first frame after it.
    """
    metrics = IdMetrics()
    for result, truth in zip(results, truths, strict=True):
        metrics.add(result, truth)
    before, after = metrics.carried[cut - SECOND : cut], metrics.carried[cut : cut + SECOND]
    counts: Counter[str] = Counter(own=0, wrong=0, new=0)
    for person in range(before.shape[1]):
        old, now = (ids[ids >= 0] for ids in (before[:, person], after[:, person]))
        if not len(old) or not len(now):
            continue
        current = most_frequent(now[:FIRST])
        others = np.delete(before, person, axis=1)
        if current == most_frequent(old):
            counts["own"] += 1
        else:
            counts["wrong" if (others == current).any() else "new"] += 1
    return counts


def most_frequent(ids: np.ndarray) -> int:
    known, counts = np.unique(ids, return_counts=True)
    return int(known[counts.argmax()])


if __name__ == "__main__":
    typer.run(main)
