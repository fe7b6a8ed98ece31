"""Recipes, their learning rates, and the settings of a run."""

from dataclasses import replace
from pathlib import Path

import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.skeleton import COCO17, MPII16
from hrpose_rt.training.config import DataSet, Stage, TrainSettings, parse_stages
from hrpose_rt.training.overrides import parse_overrides, read_recipe, with_overrides
from hrpose_rt.training.recipes import MODERN, ORIGINAL, check_select, learning_rate, recipe_for


def test_recipe_original_learning_rate_drops_at_epochs_170_and_200() -> None:
    rates = [learning_rate(ORIGINAL, 0, epoch / 210, 0) for epoch in (0, 169.9, 170, 199.9, 200, 209.9)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5])


def test_recipe_modern_learning_rate_warms_up_and_decays_to_zero() -> None:
    warm = MODERN.warm_up
    rates = [learning_rate(MODERN, share, 0, 0) for share in (0, warm / 2, warm, 0.5 + warm / 2, 1)]
    assert rates == pytest.approx([0, MODERN.lr / 2, MODERN.lr, MODERN.lr / 2, 0], abs=1e-9)
    assert learning_rate(MODERN, warm, 0, 1) == pytest.approx(MODERN.lr / 2)


def test_recipe_original_augments_mpii_less() -> None:
    assert recipe_for("original", COCO17) == ORIGINAL
    mpii = recipe_for("original", MPII16).augmentation
    assert (mpii.turn_deg, mpii.scale, mpii.half_body) == (30, 0.25, 0)


def test_recipe_original_equals_published_hrnet_config() -> None:
    # lib/config/default.py and experiments/coco/hrnet/w32_256x192_adam_lr1e-3.yaml of their repository
    o, images = ORIGINAL, ORIGINAL.augmentation
    assert (o.optimizer, o.lr, o.lr_factor, o.momentum, o.nesterov) == ("adam", 1e-3, 0.1, 0.9, False)
    assert (o.weight_decay, o.init_std, o.joint_weights, o.squared_weights) == (1e-4, 0.001, False, True)
    assert [round(210 * step) for step in o.lr_steps] == [170, 200] and o.epochs == 210
    assert (images.flip, images.turn_deg, images.scale, images.half_body) == (0.5, 45, 0.35, 0.3)
    assert (o.select, recipe_for("original", MPII16).select) == ("ap", "pckh")


def test_recipe_lr_steps_can_be_epoch_numbers() -> None:
    recipe = replace(ORIGINAL, lr_steps=(90.0, 110.0), lr_factor=0.5)
    rates = [learning_rate(recipe, 0, epoch / 140, 0, epochs=140) for epoch in (0, 89, 90, 109, 110, 139)]
    assert rates == pytest.approx([1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4, 2.5e-4])


def test_recipe_overrides_change_fields() -> None:
    texts = (
        "optimizer=sgd",
        "nesterov=True",
        "batch=16",
        "lr_steps=90,110",
        "scale=0.25",
        "lr=0.5",
        "lr=1e-2",
    )
    augmentation = replace(ORIGINAL.augmentation, scale=0.25)
    assert with_overrides(ORIGINAL, parse_overrides(texts)) == replace(
        ORIGINAL,
        optimizer="sgd",
        nesterov=True,
        batch=16,
        lr_steps=(90.0, 110.0),
        lr=0.01,
        augmentation=augmentation,
    )
    assert with_overrides(MODERN, {"lr_steps": "", "ema": 0}) == replace(MODERN, lr_steps=(), ema=0.0)
    with pytest.raises(BadInput, match="no `recipe` 'best': choose original or modern"):
        recipe_for("best", COCO17)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "learning_rate=1",
            "a recipe has no 'learning_rate' to set: choose optimizer, lr, .*, turn_deg, scale",
        ),
        ("name=mine", "a recipe has no 'name' to set"),
        ("optimizer=lion", "optimizer is adam or adamw or sgd, not lion"),
        ("targets=sharp", "targets is classic or dark or udp, not sharp"),
        ("nesterov=maybe", "nesterov is true or false, not maybe"),
        ("batch=2.5", "batch is a whole number, not 2.5"),
        ("batch=nan", "batch is a whole number, not nan"),
        ("lr=fast", "lr is a number, not fast"),
        ("lr=nan", "lr is nan: give a finite number from 0 on"),
        ("lr=0", "lr is 0: give a number above 0"),
        ("lr_steps=90;110", "lr_steps is numbers, such as 90,110, not 90;110"),
        ("flip=50", "flip is 50: give a share of 0 to 1"),
        ("turn_deg=-3", "turn_deg is -3: give a finite number from 0 on"),
        ("scale", "`set` scale changes nothing: write KEY=VALUE"),
    ],
)
def test_recipe_invalid_override_raises_bad_input(text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        with_overrides(ORIGINAL, parse_overrides([text]))


def test_recipe_is_read_from_toml(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('base = "modern"\noptimizer = "sgd"\nlr = 1\nlr_steps = [90, 110]\nnesterov = true\n')
    base, changes = read_recipe(file)
    assert base == "modern"
    sgd = replace(MODERN, optimizer="sgd", lr=1.0, lr_steps=(90.0, 110.0), nesterov=True)
    assert with_overrides(MODERN, changes) == sgd
    file.write_text("lr = true")
    with pytest.raises(BadInput, match="lr is a number, not True"):
        with_overrides(ORIGINAL, read_recipe(file)[1])
    file.write_text("lr = ")
    with pytest.raises(BadInput, match=r"mine.toml is no recipe in TOML"):
        read_recipe(file)
    with pytest.raises(BadInput, match=r"gone.toml cannot be read"):
        read_recipe(tmp_path / "gone.toml")


def test_recipe_select_by_ap_or_pckh_must_fit_skeleton() -> None:
    check_select(ORIGINAL, COCO17)
    with pytest.raises(BadInput, match="AP needs sigmas, which mpii16 has not"):
        check_select(ORIGINAL, MPII16)
    with pytest.raises(BadInput, match="PCKh needs neck and head, which coco17 has not"):
        check_select(replace(ORIGINAL, select="pckh"), COCO17)


def test_train_settings_match_older_run_without_new_recipe_fields() -> None:
    older = settings().as_json()
    for name in ("momentum", "lr_steps", "select"):
        del older["recipe"][name]
    assert settings().differences(older) == []
    assert settings(recipe=replace(MODERN, select="ap")).differences(older) == ["recipe"]


def test_stages_are_parsed_from_size_and_epochs() -> None:
    stages = parse_stages("128x96:8, 256x192:2")
    assert stages == (Stage((128, 96), 8), Stage((256, 192), 2))
    assert stages[1].heatmap_hw == (64, 48)


@pytest.mark.parametrize("text", ["128x96", "128x96:0", "128:8", "", "100x96:3", "ax96:2"])
def test_stages_invalid_text_raises_bad_input(text: str) -> None:
    with pytest.raises(BadInput, match="is no stage: write HEIGHTxWIDTH:EPOCHS"):
        parse_stages(text)


def test_dataset_option_is_parsed_with_image_folder_and_weight() -> None:
    assert DataSet.parse("a.json") == DataSet(Path("a.json"))
    assert DataSet.parse("a.json:pics") == DataSet(Path("a.json"), Path("pics"))
    assert DataSet.parse("a.json::0.5") == DataSet(Path("a.json"), None, 0.5)
    for text in (":pics", "a.json:pics:none", "a.json:pics:0", "a.json:pics:-1"):
        with pytest.raises(BadInput, match="is no set of data"):
            DataSet.parse(text)


def settings(**changes) -> TrainSettings:
    base = TrainSettings("hrnet-w16-lite", (DataSet(Path("a.json")),), (Stage((64, 64), 1),), MODERN)
    return replace(base, **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "hrnet-w7"}, "no model 'hrnet-w7' to train: choose hrnet-w16-lite"),
        ({"precision": "int4"}, "no precision 'int4' to train: choose fp32, bf16"),
        ({"recipe": replace(MODERN, lr=-1)}, "`lr` more than 0"),
        ({"hold_out": 1}, "`hold_out` at least 2"),
    ],
)
def test_train_settings_check_rejects_invalid_values(changes, words) -> None:
    settings().check()
    with pytest.raises(BadInput, match=words):
        settings(**changes).check()


def test_train_settings_differences_name_changed_fields() -> None:
    plain = settings().as_json()
    assert settings().differences(plain) == []
    another = settings(seed=1, recipe=replace(MODERN, lr=1))
    assert another.differences(plain) == ["recipe", "seed"]


def test_train_settings_report_validation_data_used_for_training(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text("{}")
    a, b = (DataSet(tmp_path / name) for name in ("a.json", "b.json"))
    again = DataSet(tmp_path / "." / ".." / tmp_path.name / "a.json", Path("elsewhere"))
    assert settings(data=(a,), val=(b,)).val_sets_in_training() == []
    assert settings(data=(a, b), val=(again,)).val_sets_in_training() == [again.annotations]
