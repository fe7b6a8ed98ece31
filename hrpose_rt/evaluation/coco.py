"""COCO's keypoint and box figures, by COCO's own code, with what its summary leaves out."""

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hrpose_rt.errors import BadInput, RuntimeMissing
from hrpose_rt.skeleton import COCO17, Skeleton
from hrpose_rt.types import Bools

FIGURES = ("AP", "AP.5", "AP.75", "AP(M)", "AP(L)", "AR", "AR.5", "AR.75", "AR(M)", "AR(L)")
PERSON = 1  # COCO's category
THRESHOLDS = 10  # of similarity, .5 to .95
RESAMPLES = 1000
INTERVAL = (2.5, 97.5)  # percentiles: 95% of the resamples lie between

Result = dict[str, Any]  # as COCO's results files have them
F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Matches:
    """Which predictions are right, in one range of areas: what every figure is counted from.

    Attributes:
        image: (D,) whose prediction it is, as a row of the images.
        right: (T, D) whether it has a person, at each of T thresholds.
        ignored: (T, D) whether it does not count there.
        people: (I,) people to be found in each image.
    """

    image: NDArray[np.int64]
    right: Bools
    ignored: Bools
    people: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CocoScores:
    """One set of predictions against one file of annotations.

    Attributes:
        figures: The ten of `FIGURES`, in 0..1; -1 where nobody is of that size.
        matches: For all areas, medium and large ones.
    """

    figures: F64
    matches: tuple[Matches, Matches, Matches]


def load_annotations(path: Path) -> Any:
    """A COCO annotation file as pycocotools has it."""
    coco = _pycocotools()[0]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            annotations = coco(str(path))
            annotations.getCatIds()
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist: check the path") from error
    except (ValueError, KeyError, TypeError, AssertionError, AttributeError) as error:
        raise BadInput(f"{path} is no COCO annotation file ({error}): check the file") from error
    return annotations


def load_results(path: Path, field: str) -> list[Result]:
    """A COCO results file: a list of {"image_id", "category_id", `field`, "score"}, people only."""
    try:
        content = json.loads(path.read_text())
        if not isinstance(content, list):
            raise TypeError("not a list")
        results = [r for r in content if r.get("category_id", PERSON) == PERSON]
        for result in results:
            if len(result[field]) < 4 or "image_id" not in result:
                raise KeyError(field)
            float(result["score"])
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist: check the path") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(
            f"{path} is no COCO results file: it is a list of objects with image_id, category_id, {field} "
            f"and score ({type(error).__name__}: {error})"
        ) from error
    return results


def check_joints(annotations: Any, results: list[Result], skeleton: Skeleton) -> None:
    """Raise BadInput unless annotations and predictions have this skeleton's joints, and it sigmas."""
    if not skeleton.sigmas:
        raise BadInput(
            f"{skeleton.name} has no sigmas, which similarity needs: give a skeleton file with them"
        )
    k = len(skeleton.joints)
    persons = annotations.loadAnns(annotations.getAnnIds(catIds=[PERSON]))
    for what, people in (("the annotations", persons), ("the predictions", results)):
        counts = {len(person["keypoints"]) / 3 for person in people if "keypoints" in person}
        if strange := counts - {k}:
            raise BadInput(
                f"{what} have {min(strange):g} joints, {skeleton.name} has {k}: give the right --skeleton"
            )


def score(
    annotations: Any,
    results: list[Result],
    kind: Literal["keypoints", "bbox"],
    sigmas: tuple[float, ...] = COCO17.sigmas,
) -> CocoScores:
    """Count.

    Args:
        annotations: From `load_annotations`.
        results: People, as COCO's results files have them.
        kind: What of them.
        sigmas: Of the joints, in their order.
    """
    _, cocoeval = _pycocotools()
    known = set(annotations.getImgIds())
    if strange := next((r["image_id"] for r in results if r["image_id"] not in known), None):
        raise BadInput(f"the predictions are of other images: {strange} is not among the annotated ones")
    with contextlib.redirect_stdout(io.StringIO()):
        found = annotations.loadRes(results) if results else _nobody(annotations)
        run = cocoeval(annotations, found, kind)
        run.params.catIds = [PERSON]
        if kind == "keypoints":
            run.params.kpt_oks_sigmas = np.array(sigmas)
        run.evaluate()
    areas = run.params.areaRngLbl  # all, medium, large; boxes have small ones after "all"
    wanted = [areas.index(name) for name in ("all", "medium", "large")]
    most = run.params.maxDets[-1]
    rows = len(run.params.imgIds)
    per_area = [_matches(run.evalImgs[i * rows : (i + 1) * rows], most) for i in wanted]
    scores = CocoScores(np.zeros(0), (per_area[0], per_area[1], per_area[2]))
    return CocoScores(count(scores, np.ones(rows)), scores.matches)


def count(scores: CocoScores, weights: F64) -> F64:
    """The ten figures if image i were there `weights[i]` times; -1 where there is nobody to be found."""
    everybody, medium, large = (_precision_and_recall(m, weights) for m in scores.matches)
    figures = []
    for which in (0, 1):
        figures += [everybody[which].mean(), everybody[which][0], everybody[which][5]]
        figures += [medium[which].mean(), large[which].mean()]
    return np.array(figures)


def resample(scores: CocoScores, other: CocoScores | None = None, seed: int = 0) -> F64:
    """The ten figures (R, 10) for images drawn anew; minus those of `other` for the same images.

    The interval between two percentiles of them says how much the choice of images matters.
    """
    images = len(scores.matches[0].people)
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(RESAMPLES):
        weights = np.bincount(rng.integers(0, images, images), minlength=images).astype(np.float64)
        figures = count(scores, weights)
        rows.append(figures - count(other, weights) if other else figures)
    return np.array(rows)


def _precision_and_recall(matches: Matches, weights: F64) -> tuple[F64, F64]:
    """Average precision (T,) over COCO's 101 recalls, and recall (T,) at the end."""
    thresholds = len(matches.right)
    people = float(matches.people @ weights)
    if not people:
        return np.full(thresholds, -1.0), np.full(thresholds, -1.0)
    if not len(matches.image):
        return np.zeros(thresholds), np.zeros(thresholds)
    counted = ~matches.ignored * weights[matches.image]
    right = np.cumsum(matches.right * counted, axis=1)
    wrong = np.cumsum(~matches.right * counted, axis=1)
    recall = right / people
    precision = right / (right + wrong + np.spacing(1))
    best_from_here = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    padded = np.concatenate([best_from_here, np.zeros((thresholds, 1))], axis=1)
    levels = np.linspace(0, 1, 101)
    places = np.array([np.searchsorted(line, levels, side="left") for line in recall])
    return np.take_along_axis(padded, places, axis=1).mean(axis=1), recall[:, -1]


def _matches(images: list[dict[str, Any] | None], most: int) -> Matches:
    """pycocotools' matches of one area range, flat and best score first."""
    nothing = np.zeros((THRESHOLDS, 0), np.bool_)
    image, scores = [np.zeros(0, np.int64)], [np.zeros(0)]
    right, ignored = [nothing], [nothing]
    people = np.zeros(len(images), np.int64)
    for i, found in enumerate(images):
        if found is None:  # neither people nor predictions
            continue
        people[i] = np.count_nonzero(found["gtIgnore"] == 0)
        scores.append(np.array(found["dtScores"][:most], np.float64))
        right.append(found["dtMatches"][:, :most] != 0)
        ignored.append(found["dtIgnore"][:, :most].astype(np.bool_))
        image.append(np.full(len(scores[-1]), i))
    order = np.argsort(-np.concatenate(scores), kind="mergesort")
    return Matches(
        image=np.concatenate(image)[order].astype(np.int64),
        right=np.concatenate(right, axis=1)[:, order],
        ignored=np.concatenate(ignored, axis=1)[:, order],
        people=people,
    )


def _nobody(annotations: Any) -> Any:
    """Predictions of nobody, which pycocotools' own loader does not take."""
    empty = _pycocotools()[0]()
    empty.dataset = {**annotations.dataset, "annotations": []}
    empty.createIndex()
    return empty


def _pycocotools() -> tuple[Any, Any]:
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise RuntimeMissing("COCO's figures need pycocotools: pip install 'hrpose-rt[train]'") from error
    return COCO, COCOeval
