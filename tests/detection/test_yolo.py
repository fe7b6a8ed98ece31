"""A detector's output -> people in the frame."""

import numpy as np
import pytest

from hrpose_rt.detection.yolo import MAX_BATCH, MAX_CANDIDATES, DetectionFilter, YoloDetector, decode_boxes
from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.timing import StageClock
from tests.fakes import FakeRuntime

INPUTS = ((640, 640), (384, 640), (640, 384))


def classic(*rows: tuple[float, ...]) -> np.ndarray:
    """(1, 4 + classes, anchors) of rows of centre, size and class scores."""
    return np.array(rows, np.float32).T[None]


def nms_free(*rows: tuple[float, ...]) -> np.ndarray:
    """(1, 300, 6) of rows of xyxy, score, class."""
    out = np.zeros((1, 300, 6), np.float32)
    out[0, : len(rows)] = np.array(rows).reshape(-1, 6)
    return out


def detect(output: np.ndarray, image_hw=(384, 640), score=0.3, **options):
    detector = YoloDetector(FakeRuntime(lambda _: output), INPUTS, DetectionFilter(score, **options))
    return detector.detect(np.zeros((*image_hw, 3), np.uint8), StageClock())


def test_decode_boxes_classic_head_converts_cxcywh_to_xyxy() -> None:
    boxes, scores = decode_boxes(classic((50, 40, 20, 60, 0.9), (10, 10, 5, 5, 0.1)), DetectionFilter(0.3))
    assert boxes.tolist() == [[40, 10, 60, 70]]
    assert scores.tolist() == pytest.approx([0.9])


def test_decode_boxes_classic_head_needs_person_as_best_class() -> None:
    output = classic((50, 40, 20, 60, 0.6, 0.2, 0.1), (90, 40, 20, 60, 0.6, 0.7, 0.1))
    boxes, _ = decode_boxes(output, DetectionFilter(0.3))
    assert boxes.tolist() == [[40, 10, 60, 70]]


def test_decode_boxes_keeps_the_classes_asked_for() -> None:
    one_box = [50, 40, 20, 60]
    scores = [(0.1, 0.5, 0.7), (0.9, 0.1, 0.1), (0.1, 0.6, 0.2)]
    output = np.array([[[*one_box, *of_classes] for of_classes in scores]])
    output = output.transpose(0, 2, 1).astype(np.float32)
    assert decode_boxes(output, DetectionFilter(0.3, classes=(1,)))[1].tolist() == pytest.approx([0.6])
    assert decode_boxes(output, DetectionFilter(0.3, classes=(1, 2)))[1].tolist() == pytest.approx(
        [0.7, 0.6]
    )
    nms_free = np.array([[[0, 0, 9, 9, 0.9, 2], [0, 0, 9, 9, 0.8, 1], [0, 0, 9, 9, 0.7, 0]]], np.float32)
    kept = DetectionFilter(0.3, classes=(0, 2))
    nms_free = np.concatenate([nms_free] * 2, axis=1)[:, :4]  # six columns, four rows
    assert decode_boxes(nms_free, kept)[1].tolist() == pytest.approx([0.9, 0.7, 0.9])
    with pytest.raises(BadInput, match=r"`classes` has 3, and this detector's go from 0 to 2"):
        decode_boxes(output, DetectionFilter(0.3, classes=(3,)))


def test_decode_boxes_nms_free_head_filters_score_and_class() -> None:
    output = nms_free((1, 2, 3, 4, 0.9, 0), (5, 6, 7, 8, 0.9, 1), (5, 6, 7, 8, 0.2, 0))
    boxes, scores = decode_boxes(output, DetectionFilter(0.3))
    assert boxes.tolist() == [[1, 2, 3, 4]]
    assert scores.tolist() == pytest.approx([0.9])


@pytest.mark.parametrize("output", [classic((5, 5, 2, 2, 0.1)), nms_free()], ids=["classic", "nms-free"])
def test_no_detections_give_empty_boxes_and_scores(output) -> None:
    boxes, scores = decode_boxes(output, DetectionFilter(0.3))
    assert (boxes.shape, scores.shape) == ((0, 4), (0,))
    assert len(detect(output)) == 0


def test_decode_boxes_keeps_best_max_candidates() -> None:
    scores = np.linspace(0.31, 0.99, 3000)
    output = classic(*((5, 5, 2, 2, s) for s in scores))
    _, kept = decode_boxes(output, DetectionFilter(0.3))
    assert len(kept) == MAX_CANDIDATES
    assert kept.min() >= np.sort(scores)[-MAX_CANDIDATES] - 1e-6


def test_nms_removes_near_duplicates_of_both_heads() -> None:
    assert len(detect(classic((50, 50, 20, 60, 0.9), (51, 50, 20, 60, 0.8)))) == 1
    assert len(detect(nms_free((40, 20, 60, 80, 0.9, 0), (41, 20, 61, 80, 0.8, 0)))) == 1


def test_letterbox_boxes_map_to_frame_pixels_and_are_clipped() -> None:
    # 1280x720 fits 640x384 at half its size, 12 rows of grey above it.
    people = detect(nms_free((-20, 12, 100, 212, 0.9, 0)), image_hw=(720, 1280))
    np.testing.assert_allclose(people.boxes, [[0, 0, 200, 400]], atol=1e-3)


def test_tiny_boxes_are_dropped_except_in_tiny_image() -> None:
    assert len(detect(nms_free((10, 10, 13, 80, 0.9, 0)))) == 0
    assert len(detect(nms_free((0, 0, 640, 640, 0.9, 0)), image_hw=(1, 1))) == 1


def test_max_people_keeps_highest_scores_in_order() -> None:
    output = nms_free((0, 0, 20, 60, 0.5, 0), (100, 0, 120, 60, 0.9, 0), (200, 0, 220, 60, 0.7, 0))
    assert detect(output).scores.tolist() == pytest.approx([0.9, 0.7, 0.5])
    assert detect(output, max_people=2).scores.tolist() == pytest.approx([0.9, 0.7])


@pytest.mark.parametrize(
    ("frame_hw", "input_hw"),
    [
        ((720, 1280), (384, 640)),
        ((1280, 720), (640, 384)),
        ((500, 500), (640, 640)),
        ((9, 900), (384, 640)),
    ],
)
def test_letterbox_picks_cheapest_input_size_with_largest_scale(frame_hw, input_hw) -> None:
    runtime = FakeRuntime(lambda _: nms_free())
    detector = YoloDetector(runtime, INPUTS, DetectionFilter(0.3))
    detector.warm_up(frame_hw)
    detector.detect(np.zeros((*frame_hw, 3), np.uint8), StageClock())
    assert runtime.shapes == [(1, *input_hw, 3)] * 2


def test_letterbox_padding_is_grey_on_every_frame() -> None:
    seen = []
    runtime = FakeRuntime(lambda batch: (seen.append(batch.copy()), nms_free())[1])
    detector = YoloDetector(runtime, ((64, 64),), DetectionFilter(0.3))
    detector.detect(np.full((64, 32, 3), 255, np.uint8), StageClock())
    detector.detect(np.full((32, 64, 3), 9, np.uint8), StageClock())
    assert (seen[0][0, :, :16] == 114).all()
    assert (seen[0][0, :, 16:48] == 255).all()
    assert (seen[1][0, :16] == 114).all()
    assert (seen[1][0, 48:] == 114).all()
    assert (seen[1][0, 16:48] == 9).all()


def bright_people(batch: np.ndarray) -> np.ndarray:
    """A person 8 pixels wide at the first bright column of each image."""
    out = np.zeros((len(batch), 300, 6), np.float32)
    for people, image in zip(out, batch, strict=True):
        x = int((image[32, :, 0] == 255).argmax())
        people[0] = x, 20, x + 8, 52, 0.9, 0
    return out


@pytest.mark.parametrize("frame_hw", [(64, 64), (51, 64), (64, 51)])
def test_flip_test_averages_boxes_of_frame_and_mirrored_frame(frame_hw) -> None:
    image = np.zeros((*frame_hw, 3), np.uint8)
    image[:, 10:19] = 255  # a pixel wider than the box: left-aligned in the frame, right-aligned mirrored
    detector = YoloDetector(FakeRuntime(bright_people), ((64, 64),), DetectionFilter(0.3), flip_test=True)
    detector.warm_up(frame_hw, max_tiles=1)
    people = detector.detect(image, StageClock())
    assert people.scores.tolist() == pytest.approx([0.9])
    np.testing.assert_allclose(people.boxes[:, [0, 2]], [[10.5, 18.5]], atol=0.01)


def test_flip_test_mirrors_the_frame_and_no_tile() -> None:
    seen = []
    runtime = FakeRuntime(lambda batch: (seen.append(batch.copy()), bright_people(batch))[1])
    detector = YoloDetector(runtime, ((64, 64),), DetectionFilter(0.3), flip_test=True)
    detector.warm_up((64, 128), max_tiles=2)
    assert [shape[0] for shape in runtime.shapes] == [2, 3, 4]
    image = np.random.default_rng(0).integers(0, 255, (64, 128, 3), dtype=np.uint8)
    detector.detect(image, StageClock(), [(0, 0, 64, 64)])
    frame, tile, mirrored = seen[-1]
    assert (mirrored == frame[:, ::-1]).all()
    assert (tile == image[:, :64]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_or_inf_boxes_raise_run_broken_with_model_name(bad) -> None:
    output = np.zeros((1, 5, 4), np.float32)
    output[0, 4, 2] = bad
    detector = YoloDetector(FakeRuntime(lambda _: output), INPUTS, DetectionFilter(0.3), model="mine")
    with pytest.raises(RunBroken, match="mine gives numbers that are none, or far too large"):
        detector.detect(np.zeros((48, 64, 3), np.uint8), StageClock())


@pytest.mark.parametrize("shape", [(1, 4, 9), (5,), (1, 17, 64, 48)])
def test_unknown_detector_output_shape_raises_bad_input(shape) -> None:
    detector = YoloDetector(
        FakeRuntime(lambda _: np.zeros(shape)), INPUTS, DetectionFilter(0.3), model="mine"
    )
    with pytest.raises(BadInput, match=r"mine gives .*, which no detector does"):
        detector.detect(np.zeros((48, 64, 3), np.uint8), StageClock())


def test_many_tiles_are_detected_in_batches_of_limited_size() -> None:
    def answer(batch: np.ndarray) -> np.ndarray:
        """A person in each image, at the place that its brightness gives."""
        x = batch[:, 32, 32, 0].astype(np.float32)
        out = np.zeros((len(batch), 300, 6), np.float32)
        out[:, 0] = np.stack([x, x, x + 8, x + 8, np.full_like(x, 0.9), 0 * x], axis=1)
        return out

    runtime = FakeRuntime(answer)
    detector = YoloDetector(runtime, ((64, 64),), DetectionFilter(0.3))
    detector.warm_up((64, 64 * 24), max_tiles=24)
    assert [shape[0] for shape in runtime.shapes] == list(range(1, MAX_BATCH + 1))
    runtime.shapes.clear()
    image = np.zeros((64, 64 * 24, 3), np.uint8)
    tiles = [(64 * i, 0, 64 * (i + 1), 64) for i in range(24)]
    for i, (x1, _, x2, _) in enumerate(tiles):
        image[:, x1:x2] = 4 + 2 * i
    people = detector.detect(image, StageClock(), tiles)
    assert [shape[0] for shape in runtime.shapes] == [10, 10, 5]
    found = {tuple(box) for box in people.boxes.round().astype(int).tolist()}
    assert {(64 * i + 4 + 2 * i, 4 + 2 * i, 64 * i + 12 + 2 * i, 12 + 2 * i) for i in range(24)} <= found
