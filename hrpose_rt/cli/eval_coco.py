"""`hrpose-rt eval coco`: COCO's keypoint metrics of networks or of a predictions file."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from hrpose_rt.cli import options
from hrpose_rt.cli.eval_output import (
    RESULTS,
    SCORES,
    SCORES_SCHEMA,
    annotated_images,
    check_output,
    print_table,
    share,
    steps,
    write_output,
)
from hrpose_rt.config import Settings
from hrpose_rt.errors import BadInput
from hrpose_rt.evaluation.predict import EVAL_MIN_BOX_SCORE
from hrpose_rt.networks import hardware_info, open_detector, open_pose
from hrpose_rt.skeleton import COCO17, Skeleton, find_skeleton

if TYPE_CHECKING:
    from hrpose_rt.evaluation.coco import CocoScores, Result
    from hrpose_rt.evaluation.per_joint import MatchedPeople
    from hrpose_rt.evaluation.predict import Boxes


@options.with_settings(
    *("detector", "pose", "runtime", "precision", "device", "skeleton", "input_hw", "decode", "preset"),
    *("flip_test", "mode", "threads"),
)
def eval_coco(
    annotations: options.Annotations,
    settings: Settings,
    images: options.ImagesFolder = None,
    predictions: Annotated[Path | None, typer.Option(help="Score this COCO results file.")] = None,
    detections: Annotated[
        Path | None, typer.Option(help="Estimate poses in the boxes of this COCO results file.")
    ] = None,
    gt_boxes: Annotated[
        bool, typer.Option("--gt-boxes", help="Estimate poses in the annotated boxes.")
    ] = False,
    oks_nms: Annotated[
        float, typer.Option(help="Remove duplicate poses with a higher OKS than this; 1 keeps all.")
    ] = 0.9,
    compare: Annotated[Path | None, typer.Option(help="Compare with this results file.")] = None,
    visualize: Annotated[int, typer.Option(help="Draw the N best and the N worst people.")] = 0,
    output: options.OutputFolder = None,
    overwrite: options.Overwrite = False,
    debug: options.Debug = False,
) -> None:
    """Score COCO keypoints: the ten metrics with 95% intervals, and a table of joints."""
    from hrpose_rt.evaluation import coco
    from hrpose_rt.evaluation.per_joint import pair

    check_output(output, overwrite)
    if visualize and not (output and images):
        raise BadInput("--visualize needs --images to draw on and --output to write to")
    if (predictions is not None) + (detections is not None) + gt_boxes > 1:
        raise BadInput("--predictions, --detections and --gt-boxes exclude each other: choose one")
    truth = coco.load_annotations(annotations)
    category = coco.person_category(truth)
    # Check this file first: an error in it would waste the computation.
    others = coco.load_results(compare, "keypoints", category) if compare else None
    joints = COCO17 if settings.skeleton == "auto" else find_skeleton(settings.skeleton)
    coco.check_joints(truth, others or [], joints)
    facts: dict[str, Any] = {"annotations": annotations.name}
    if predictions:
        results = coco.load_results(predictions, "keypoints", category)
        facts |= {"predictions": predictions.name}
    else:
        settings = replace(settings, det_score=EVAL_MIN_BOX_SCORE)
        with ExitStack() as stack:  # closes a detector
            boxes, source = _boxes(stack, truth, settings, detections, gt_boxes)
            results, how = _run(truth, images, settings, boxes, joints, oks_nms)
        facts |= {"boxes": source, **how}
        if output:  # before printing, which a closed pipe would end
            write_output(output, RESULTS, results)
    coco.check_joints(truth, results, joints)
    scores = coco.score(truth, results, "keypoints", joints.sigmas)
    other = None
    if compare and others is not None:
        other = coco.score(truth, others, "keypoints", joints.sigmas)
        facts |= {"compared_with": compare.name}
    people = pair(truth, results, joints.sigmas)
    name = predictions.name if predictions else facts["model"]
    facts |= {"figures": _print_figures(scores, other, name), "joints": _print_joints(people, joints)}
    if output:
        write_output(output, SCORES, {"schema": SCORES_SCHEMA, **facts})
        if visualize and images:
            _draw(truth, images, people, joints, visualize, output)


def _boxes(
    stack: ExitStack, truth: Any, settings: Settings, detections: Path | None, gt_boxes: bool
) -> "tuple[Boxes, dict[str, Any]]":
    """The boxes to pose, and facts about them."""
    from hrpose_rt.evaluation.coco import load_results, person_category
    from hrpose_rt.evaluation.predict import annotated, detected, listed

    if detections:
        results = load_results(detections, "bbox", person_category(truth))
        return listed(results), {"detections": detections.name}
    if gt_boxes:
        return annotated(truth), {"detections": "annotated"}
    detector, info = open_detector(settings)
    return detected(stack.enter_context(detector)), info.to_dict()


def _run(
    truth: Any,
    folder: Path | None,
    settings: Settings,
    boxes: "Boxes",
    skeleton: Skeleton,
    oks_nms: float,
) -> "tuple[list[Result], dict[str, Any]]":
    """Estimate poses with the network in the settings; also returns facts about it."""
    from hrpose_rt.evaluation.coco import person_category
    from hrpose_rt.evaluation.predict import OksNms, pose_results

    images = annotated_images(truth, folder)
    estimator, info = open_pose(settings)
    with estimator, steps(len(images)) as step:
        if find_skeleton(info.skeleton) != skeleton:
            raise BadInput(
                f"{info.model} finds {info.skeleton} joints, {skeleton.name} are wanted here: "
                "give a network and annotations of one --skeleton"
            )
        estimator.warm_up()
        results = pose_results(
            images=images,
            boxes=boxes,
            estimator=estimator,
            nms=OksNms(skeleton, oks_nms),
            progress=step,
            category=person_category(truth),
        )
    how = {"flip_test": settings.flip_test, "oks_nms": oks_nms}
    return results, info.to_dict() | how | hardware_info(settings.threads).to_dict()


def _print_figures(scores: "CocoScores", other: "CocoScores | None", name: str) -> dict[str, Any]:
    """Print the ten metrics, then each with its interval and its difference from the other file."""
    from hrpose_rt.evaluation.coco import INTERVAL, METRICS, resample

    values = scores.metrics
    print_table(["", *METRICS], [[name, *map(share, values)]])
    low, high = np.percentile(resample(scores), INTERVAL, axis=0)
    report: dict[str, Any] = {"names": METRICS, "values": values.tolist()}
    report |= {"low": low.tolist(), "high": high.tolist()}
    header = ["", "value", "95% of resampled images"]
    columns = [METRICS, map(share, values), map("{} to {}".format, map(share, low), map(share, high))]
    if other:
        drawn = resample(scores, other)
        lower, upper = np.percentile(drawn, INTERVAL, axis=0)
        difference = values - other.metrics
        header += ["the other", "difference", "95%, same images"]
        columns += [map(share, other.metrics), map("{:+.3f}".format, difference)]
        columns += [map("{:+.3f} to {:+.3f}".format, lower, upper)]
        report |= {"difference": difference.tolist(), "better_share": (drawn > 0).mean(axis=0).tolist()}
        report |= {"difference_low": lower.tolist(), "difference_high": upper.tolist()}
    print()
    print_table(header, [list(row) for row in zip(*columns, strict=True)])
    return report


def _print_joints(people: "MatchedPeople", skeleton: Skeleton) -> list[dict[str, Any]]:
    from hrpose_rt.evaluation.per_joint import joint_metrics

    rows = list(zip(skeleton.joints, *joint_metrics(people), strict=True))
    print(f"\nJoint by joint, of {len(people.image_ids)} people and the pose most like each:\n")
    table = [[name, str(count), share(mean), share(right)] for name, count, mean, right in rows]
    print_table(["joint", "labelled", "similarity", "at least .5"], table)
    return [
        {"joint": name, "labelled": count, "similarity": mean, "right": right} if count else {"joint": name}
        for name, count, mean, right in rows
    ]


def _draw(
    truth: Any, folder: Path, people: "MatchedPeople", skeleton: Skeleton, count: int, output: Path
) -> None:
    """Write contact sheets of the people with the best and the worst poses."""
    from hrpose_rt.evaluation.contact_sheet import save_contact_sheet, thumbnail

    order = np.argsort(people.oks(), kind="stable")
    by_id = {image.id: image for image in annotated_images(truth, folder)}
    for name, rows in (("worst", order[:count]), ("best", order[::-1][:count])):
        thumbnails = [
            thumbnail(
                image=by_id[people.image_ids[i]].read(),
                person=people.person(i),
                skeleton=skeleton,
                text=f"OKS {people.oks()[i]:.2f}",
            )
            for i in rows.tolist()
        ]
        if thumbnails:
            save_contact_sheet(output / f"{name}.png", thumbnails)
