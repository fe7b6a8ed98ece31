"""COCO's keypoint and box metrics, computed by COCO's code, with confidence intervals."""

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hrpose_rt.errors import BadInput, RuntimeMissing, install_hint
from hrpose_rt.evaluation.coco_annotations import check_annotations, check_box, check_numbers, is_number
from hrpose_rt.evaluation.joint_names import plain_name
from hrpose_rt.skeleton import COCO17, Skeleton
from hrpose_rt.structures import read_json
from hrpose_rt.types import F64, Bools

METRICS = ("AP", "AP.5", "AP.75", "AP(M)", "AP(L)", "AR", "AR.5", "AR.75", "AR(M)", "AR(L)")
IOU_THRESHOLDS = 10  # OKS or IoU thresholds, .5 to .95
RESAMPLES = 1000
INTERVAL = (2.5, 97.5)  # percentiles; 95% of the resamples lie between them

Result = dict[str, Any]  # an entry of a COCO results file


@dataclass(frozen=True, slots=True)
class Matches:
    """Correct and false predictions in one range of areas: the input of every metric.

    Attributes:
        image: (D,) image row of each prediction.
        correct: (T, D) whether it matches a person, at each of T thresholds.
        ignored: (T, D) whether it does not count at that threshold.
        people: (I,) number of people to detect in each image.
    """

    image: NDArray[np.int64]
    correct: Bools
    ignored: Bools
    people: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CocoScores:
    """Scores of one set of predictions against one annotation file.

    Attributes:
        metrics: The ten metrics of `METRICS`, in 0..1; -1 where there is no person of that size.
        matches: Matches for all areas, for medium and for large ones.
    """

    metrics: F64
    matches: tuple[Matches, Matches, Matches]


def load_annotations(path: Path, joints: bool = True) -> Any:
    """The people of a COCO annotation file as a pycocotools `COCO` object, without other categories.

    Args:
        path: The file.
        joints: Whether joints are needed, or only boxes.
    """
    try:
        content = read_json(path)
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist: check the path") from error
    except (ValueError, OSError, RecursionError) as error:
        raise BadInput(f"{path} is no COCO annotation file ({error}): check the file") from error
    checked = check_annotations(content, path, joints)
    # pycocotools takes id 0 for "no match".
    checked["annotations"] = [{**a, "id": i + 1} for i, a in enumerate(checked["annotations"])]
    return indexed(checked)


def person_category(annotations: Any) -> int:
    """The id of the person category; 1 in COCO's own files."""
    return int(annotations.dataset["categories"][0]["id"])


def load_results(path: Path, field: Literal["keypoints", "bbox"], category: int = 1) -> list[Result]:
    """A COCO results file: a list of {"image_id", "category_id", `field`, "score"}.

    Args:
        path: The file.
        field: The field that is needed.
        category: Id of the person category; other entries are left out.

    Raises:
        BadInput: The file has another format, a value is not a number, or no entry is a person.
    """
    expected = f"it is a list of objects with image_id, category_id, {field} and score"
    try:
        content = read_json(path)
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist: check the path") from error
    except (ValueError, OSError, RecursionError) as error:
        raise BadInput(f"{path} is no COCO results file: {expected} ({error})") from error
    if not isinstance(content, list) or not all(isinstance(result, dict) for result in content):
        raise BadInput(f"{path} is no COCO results file: {expected}")
    results = [{"category_id": category} | r for r in content if r.get("category_id", category) == category]
    if content and not results:
        raise BadInput(
            f"none of the {len(content)} entries of {path} is of category {category}, people in the "
            f"annotations, the first says {content[0]['category_id']!r}: correct their category_id"
        )
    for i, result in enumerate(content):
        if result.get("category_id", category) == category:
            _check_result(result, field, f"{path} is no COCO results file: {expected}; entry {i + 1}")
    return results


def _check_result(result: Result, field: str, where: str) -> None:
    if type(result.get("image_id")) not in (int, str):
        raise BadInput(f"{where} has no image_id")
    if field == "bbox":
        check_box(result, where)
    elif len(check_numbers(result, field, where)) < 4:
        raise BadInput(f"{where} has {len(result[field])} numbers as its {field}")
    if not is_number(result.get("score")):
        raise BadInput(f"{where} has the score {result.get('score')!r}, a finite number is needed")


def check_joints(annotations: Any, results: list[Result], skeleton: Skeleton) -> None:
    """Raise BadInput unless annotations and predictions have this skeleton's joints and it has sigmas."""
    if not skeleton.sigmas:
        raise BadInput(
            f"{skeleton.name} has no sigmas, which similarity needs: give a skeleton file with them"
        )
    k = len(skeleton.joints)
    names = annotations.dataset["categories"][0].get("keypoints") or skeleton.joints
    if len(names) == k and tuple(map(plain_name, names)) != tuple(map(plain_name, skeleton.joints)):
        wrong = next(
            i for i, name in enumerate(names) if plain_name(name) != plain_name(skeleton.joints[i])
        )
        raise BadInput(
            f"joint {wrong + 1} is {names[wrong]} in the annotations' category, {skeleton.joints[wrong]} "
            f"in {skeleton.name}: give the right `skeleton`, or correct the names"
        )
    persons = annotations.dataset["annotations"]
    for what, people in (("the annotations", persons), ("the predictions", results)):
        counts = {len(person["keypoints"]) / 3 for person in people if "keypoints" in person}
        if strange := counts - {k}:
            raise BadInput(
                f"{what} have {min(strange):g} joints, {skeleton.name} has {k}: give the right `skeleton`"
            )


def score(
    annotations: Any,
    results: list[Result],
    kind: Literal["keypoints", "bbox"],
    sigmas: tuple[float, ...] = COCO17.sigmas,
) -> CocoScores:
    """Compute COCO's metrics.

    Args:
        annotations: From `load_annotations`.
        results: Predicted people, as in a COCO results file.
        kind: What to score.
        sigmas: Annotation spreads of the joints, in order.
    """
    _, cocoeval = _pycocotools()
    category = person_category(annotations)
    if results and not any(r.get("category_id", category) == category for r in results):
        raise BadInput(
            f"the predictions are of category {results[0]['category_id']!r}, people of {category} in the "
            "annotations: correct their category_id"
        )
    known = set(annotations.getImgIds())
    if strange := [r["image_id"] for r in results if r["image_id"] not in known]:
        raise BadInput(
            f"the predictions are of other images: {strange[0]!r} is not among the annotated ones"
        )
    with contextlib.redirect_stdout(io.StringIO()):
        # pycocotools' own loader fails on an empty list of predictions.
        no_people = {**annotations.dataset, "annotations": []}
        predictions = annotations.loadRes(results) if results else indexed(no_people)
        run = cocoeval(annotations, predictions, kind)
        run.params.catIds = [category]
        if kind == "keypoints":
            run.params.kpt_oks_sigmas = np.array(sigmas)
        run.evaluate()
    areas = run.params.areaRngLbl  # all, medium, large; boxes also have small, after "all"
    area_rows = [areas.index(name) for name in ("all", "medium", "large")]
    max_predictions = run.params.maxDets[-1]
    rows = len(run.params.imgIds)
    per_area = [_matches(run.evalImgs[i * rows : (i + 1) * rows], max_predictions) for i in area_rows]
    scores = CocoScores(np.zeros(0), (per_area[0], per_area[1], per_area[2]))
    return CocoScores(count(scores, np.ones(rows)), scores.matches)


def count(scores: CocoScores, weights: F64) -> F64:
    """The ten metrics if image i occurs `weights[i]` times; -1 where there is no person to detect."""
    all_areas, medium, large = (_precision_and_recall(m, weights) for m in scores.matches)
    metrics = []
    for which in (0, 1):
        metrics += [all_areas[which].mean(), all_areas[which][0], all_areas[which][5]]
        metrics += [medium[which].mean(), large[which].mean()]
    return np.array(metrics)


def resample(scores: CocoScores, other: CocoScores | None = None, seed: int = 0) -> F64:
    """The ten metrics (R, 10) of R bootstrap samples of the images; minus those of `other` on the same.

    The interval between two percentiles shows how much the choice of images matters.
    """
    images = len(scores.matches[0].people)
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(RESAMPLES):
        weights = np.bincount(rng.integers(0, images, images), minlength=images).astype(np.float64)
        metrics = count(scores, weights)
        rows.append(metrics - count(other, weights) if other else metrics)
    return np.array(rows)


def _precision_and_recall(matches: Matches, weights: F64) -> tuple[F64, F64]:
    """Average precision (T,) over COCO's 101 recall levels, and the final recall (T,)."""
    thresholds = len(matches.correct)
    people = float(matches.people @ weights)
    if not people:
        return np.full(thresholds, -1.0), np.full(thresholds, -1.0)
    if not len(matches.image):
        return np.zeros(thresholds), np.zeros(thresholds)
    counted = ~matches.ignored * weights[matches.image]
    correct = np.cumsum(matches.correct * counted, axis=1)
    false = np.cumsum(~matches.correct * counted, axis=1)
    recall = correct / people
    precision = correct / (correct + false + np.spacing(1))
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    padded = np.concatenate([envelope, np.zeros((thresholds, 1))], axis=1)
    levels = np.linspace(0, 1, 101)
    indices = np.array([np.searchsorted(curve, levels, side="left") for curve in recall])
    return np.take_along_axis(padded, indices, axis=1).mean(axis=1), recall[:, -1]


def _matches(images: list[dict[str, Any] | None], max_predictions: int) -> Matches:
    """pycocotools' matches in one area range, flattened, best score first."""
    nothing = np.zeros((IOU_THRESHOLDS, 0), np.bool_)
    image, scores = [np.zeros(0, np.int64)], [np.zeros(0)]
    correct, ignored = [nothing], [nothing]
    people = np.zeros(len(images), np.int64)
    for i, evaluated in enumerate(images):
        if evaluated is None:  # neither people nor predictions
            continue
        people[i] = np.count_nonzero(evaluated["gtIgnore"] == 0)
        scores.append(np.array(evaluated["dtScores"][:max_predictions], np.float64))
        correct.append(evaluated["dtMatches"][:, :max_predictions] != 0)
        ignored.append(evaluated["dtIgnore"][:, :max_predictions].astype(np.bool_))
        image.append(np.full(len(scores[-1]), i))
    order = np.argsort(-np.concatenate(scores), kind="mergesort")
    return Matches(
        image=np.concatenate(image)[order].astype(np.int64),
        correct=np.concatenate(correct, axis=1)[:, order],
        ignored=np.concatenate(ignored, axis=1)[:, order],
        people=people,
    )


def indexed(dataset: dict[str, Any]) -> Any:
    """The content of a COCO annotation file as a pycocotools `COCO` object."""
    coco = _pycocotools()[0]()
    coco.dataset = dataset
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


def _pycocotools() -> tuple[Any, Any]:
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise RuntimeMissing(f"COCO's figures need pycocotools: {install_hint('train')}") from error
    return COCO, COCOeval
