"""`hrpose-rt eval detector`: COCO's box metrics for people, and the people that the detector misses."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

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
from hrpose_rt.networks import hardware_info, open_detector

DEFAULTS = Settings()
SHOWN_METRICS = ("AP", "AP.5", "AP.75", "AP(M)", "AP(L)")


@options.with_settings("detector", "runtime", "precision", "device", "flip_test", "threads")
def eval_detector(
    annotations: options.Annotations,
    settings: Settings,
    images: options.ImagesFolder = None,
    predictions: Annotated[Path | None, typer.Option(help="Score this results file of boxes.")] = None,
    det_score: Annotated[
        float, typer.Option(help="Report precision and recall at this score, 0..1.")
    ] = DEFAULTS.det_score,
    output: options.OutputFolder = None,
    overwrite: options.Overwrite = False,
    debug: options.Debug = False,
) -> None:
    """Score a detector: AP, and recall at --det-score by size and by number of people in the image."""
    from hrpose_rt.evaluation import coco
    from hrpose_rt.evaluation.detection import match_boxes
    from hrpose_rt.evaluation.predict import EVAL_MIN_BOX_SCORE, box_results, detected

    check_output(output, overwrite)
    truth = coco.load_annotations(annotations, joints=False)
    category = coco.person_category(truth)
    facts: dict[str, Any]
    if predictions:
        results = coco.load_results(predictions, "bbox", category)
        facts = {"predictions": predictions.name}
    else:
        where = annotated_images(truth, images)
        settings = replace(settings, det_score=EVAL_MIN_BOX_SCORE)
        network, info = open_detector(settings)
        facts = info.to_dict() | {"flip_test": settings.flip_test}
        facts |= hardware_info(settings.threads).to_dict()
        with network, steps(len(where)) as step:
            results = box_results(where, detected(network), step, category)
        if output:  # before printing, which a closed pipe would end
            write_output(output, RESULTS, results)
    scores = coco.score(truth, results, "bbox")
    metrics = dict(zip(coco.METRICS, scores.metrics.tolist(), strict=True))
    print_table(["", *SHOWN_METRICS], [["", *(share(metrics[name]) for name in SHOWN_METRICS)]])
    matches = match_boxes(truth, results, det_score)
    recalls = matches.recalls()
    print(
        f"\nAt score {det_score:g}: precision {share(matches.precision)}; a box counts from IoU 0.5 on.\n"
    )
    print_table(["people", "number", "recall"], [[n, str(c), share(r)] for n, (c, r) in recalls.items()])
    if output:
        report = {"figures": {name: metrics[name] for name in SHOWN_METRICS}, "det_score": det_score}
        report |= {"precision": matches.precision}
        report |= {"recall": {name: {"people": c, "found": r} for name, (c, r) in recalls.items()}}
        write_output(output, SCORES, {"schema": SCORES_SCHEMA, **facts, **report})
