"""Recipes, their learning rates, and what a run is told to do."""

from dataclasses import replace
from pathlib import Path

import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.learn.recipes import MODERN, ORIGINAL, learning_rate, recipe_for
from hrpose_rt.learn.settings import DataSet, Stage, TrainSettings, parse_stages
from hrpose_rt.skeleton import COCO17, MPII16


def test_the_originals_rate_falls_at_170_and_200_of_210_epochs() -> None:
    rates = [learning_rate(ORIGINAL, 0, epoch / 210, 0) for epoch in (0, 169.9, 170, 199.9, 200, 209.9)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5])


def test_the_modern_rate_rises_then_falls_to_nothing_in_every_stage() -> None:
    warm = MODERN.warm_up
    rates = [learning_rate(MODERN, share, 0, 0) for share in (0, warm / 2, warm, 0.5 + warm / 2, 1)]
    assert rates == pytest.approx([0, MODERN.lr / 2, MODERN.lr, MODERN.lr / 2, 0], abs=1e-9)
    assert learning_rate(MODERN, warm, 0, 1) == pytest.approx(MODERN.lr / 2)


def test_the_original_augments_mpii_less() -> None:
    assert recipe_for("original", COCO17) == ORIGINAL
    mpii = recipe_for("original", MPII16).augmentation
    assert (mpii.turn_deg, mpii.scale, mpii.half_body) == (30, 0.25, 0)


def test_a_recipe_can_be_changed() -> None:
    assert recipe_for("modern", COCO17, lr=0.5, batch=0) == replace(MODERN, lr=0.5)
    with pytest.raises(BadInput, match="no recipe 'best': choose original or modern"):
        recipe_for("best", COCO17)
    with pytest.raises(BadInput, match="no targets 'sharp': choose classic, dark, udp"):
        recipe_for("modern", COCO17, targets="sharp")


def test_stages_are_read() -> None:
    stages = parse_stages("128x96:8, 256x192:2")
    assert stages == (Stage((128, 96), 8), Stage((256, 192), 2))
    assert stages[1].heatmap_hw == (64, 48)


@pytest.mark.parametrize("text", ["128x96", "128x96:0", "128:8", "", "100x96:3", "ax96:2"])
def test_what_is_no_stage_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="is no stage: write HEIGHTxWIDTH:EPOCHS"):
        parse_stages(text)


def test_sets_are_read() -> None:
    assert DataSet.parse("a.json") == DataSet(Path("a.json"))
    assert DataSet.parse("a.json:pics") == DataSet(Path("a.json"), Path("pics"))
    assert DataSet.parse("a.json::0.5") == DataSet(Path("a.json"), None, 0.5)
    for text in (":pics", "a.json:pics:none", "a.json:pics:0", "a.json:pics:-1"):
        with pytest.raises(BadInput, match="is no set of data"):
            DataSet.parse(text)


def settings(**changes) -> TrainSettings:
    whole = TrainSettings("hrnet-w16-lite", (DataSet(Path("a.json")),), (Stage((64, 64), 1),), MODERN)
    return replace(whole, **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "hrnet-w7"}, "no model 'hrnet-w7' to train: choose hrnet-w16-lite"),
        ({"precision": "int4"}, "no precision 'int4' to train: choose fp32, bf16"),
        ({"recipe": replace(MODERN, lr=-1)}, "--lr more than 0"),
        ({"hold_out": 1}, "--hold-out at least 2"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, words) -> None:
    settings().check()
    with pytest.raises(BadInput, match=words):
        settings(**changes).check()


def test_two_runs_differ_in_named_fields() -> None:
    plain = settings().as_json()
    assert settings().differences(plain) == []
    changed = settings(seed=1, recipe=replace(MODERN, lr=1))
    assert changed.differences(plain) == ["recipe", "seed"]


def test_what_is_trained_on_and_selected_by_is_told(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text("{}")
    a, b = (DataSet(tmp_path / name) for name in ("a.json", "b.json"))
    again = DataSet(tmp_path / "." / ".." / tmp_path.name / "a.json", Path("elsewhere"))
    assert settings(data=(a,), val=(b,)).known_judges() == []
    assert settings(data=(a, b), val=(again,)).known_judges() == [again.annotations]
