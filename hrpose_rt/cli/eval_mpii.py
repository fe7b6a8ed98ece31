"""`hrpose-rt eval mpii`: PCKh by the official formula, of a network or of a predictions file."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from hrpose_rt.cli import options
from hrpose_rt.cli.eval_output import (
    PREDICTIONS,
    SCORES,
    SCORES_SCHEMA,
    check_output,
    print_table,
    steps,
    write_output,
)
from hrpose_rt.config import Settings
from hrpose_rt.errors import BadInput
from hrpose_rt.networks import hardware_info, open_pose
from hrpose_rt.skeleton import MPII16
from hrpose_rt.timing import StageClock
from hrpose_rt.types import F32


@options.with_settings(
    *(
        "pose",
        "runtime",
        "precision",
        "device",
        "input_hw",
        "decode",
        "preset",
        "flip_test",
        "mode",
        "threads",
    ),
    pose="",
)
def eval_mpii(
    ground_truth: Annotated[Path, typer.Option(help="Compare with this gt_valid.mat of MPII.")],
    settings: Settings,
    predictions: Annotated[Path | None, typer.Option(help="Score this pred.mat.")] = None,
    annotations: Annotated[
        Path | None, typer.Option(help="Estimate the poses of the people in this valid.json.")
    ] = None,
    images: options.ImagesFolder = None,
    output: options.OutputFolder = None,
    overwrite: options.Overwrite = False,
    debug: options.Debug = False,
) -> None:
    """Score MPII: PCKh at 0.5, 0.10 and 0.11 of the head's length."""
    from hrpose_rt.evaluation import mpii

    check_output(output, overwrite)
    truth = mpii.load_truth(ground_truth)
    facts: dict[str, Any]
    if predictions and not annotations:
        joints, facts = (
            mpii.load_predictions(predictions, len(truth.heads)),
            {"predictions": predictions.name},
        )
    elif annotations and settings.pose and not predictions:
        joints, facts = _run(annotations, images, settings, len(truth.heads))
    else:
        raise BadInput(
            "give --predictions to score a file, or --annotations, --images and --pose to run a network"
        )
    rows = {threshold: mpii.pckh(joints, truth, threshold) for threshold in mpii.PCKH_THRESHOLDS}
    at_half, at_10, at_11 = (rows[threshold] for threshold in mpii.PCKH_THRESHOLDS)
    print_table(
        ["PCKh@0.5", *at_half, "Mean@0.10", "Mean@0.11 (the original's Mean@0.1)"],
        [["", *map(_percent, (*at_half.values(), at_10["Mean"], at_11["Mean"]))]],
    )
    if output:
        from scipy.io import savemat

        # JSON has no NaN, the value of a joint that is never visible.
        pckh = {
            f"{threshold:g}": {name: value if value == value else None for name, value in row.items()}
            for threshold, row in rows.items()
        }
        write_output(output, SCORES, {"schema": SCORES_SCHEMA, **facts, "pckh": pckh})
        savemat(str(output / PREDICTIONS), {"preds": joints})


def _percent(value: float) -> str:
    return f"{value:.3f}" if value == value else "-"


def _run(
    annotations: Path, images: Path | None, settings: Settings, expected: int
) -> tuple[F32, dict[str, Any]]:
    """Estimate joints (N, 16, 2), pixels from 1, with the network in the settings; also returns facts."""
    from hrpose_rt.evaluation.annotations import load_people
    from hrpose_rt.evaluation.predict import AnnotatedImage

    people = load_people(annotations, images)
    if people.skeleton is not MPII16:
        raise BadInput(f"{annotations} has {people.skeleton.name} joints: it is not MPII's valid.json")
    if len(people) != expected:
        raise BadInput(f"{annotations} is of {len(people)} people, the ground truth of {expected}")
    estimator, info = open_pose(settings)
    joints = np.zeros(people.joints.shape, np.float32)
    with estimator, steps(len(people.images)) as step:
        if info.skeleton != MPII16.name:
            raise BadInput(f"{info.model} finds {info.skeleton} joints, MPII's are wanted here")
        for i, file in enumerate(people.images):
            rows = people.image_rows == i
            poses = estimator.estimate(AnnotatedImage(i, file).read(), people.boxes[rows], StageClock())
            joints[rows] = poses.keypoints + 1  # MPII's pixels count from 1
            step()
    hardware = hardware_info(settings.threads)
    return joints, info.to_dict() | {"flip_test": settings.flip_test} | hardware.to_dict()
