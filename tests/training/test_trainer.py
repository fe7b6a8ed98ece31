"""The training loop: it learns, resumes after a kill, stops at a NaN loss, runs in several processes."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hrpose_rt.errors import BadInput, CheckpointMismatch, RunBroken
from hrpose_rt.evaluation.annotations import join, load_people
from hrpose_rt.nets.checkpoints import load_hrnet
from hrpose_rt.nets.hrnet import HRNet
from hrpose_rt.nets.hrnet_config import W16_LITE
from hrpose_rt.nets.zoo import find_model
from hrpose_rt.paths import models_folder
from hrpose_rt.training.augment import Augmentation
from hrpose_rt.training.checkpoints import start_from
from hrpose_rt.training.config import DataSet, RunOptions, Stage, TrainSettings
from hrpose_rt.training.dataset import ImageCache
from hrpose_rt.training.distributed import DistributedContext
from hrpose_rt.training.metrics_log import MetricsLog
from hrpose_rt.training.optimizer import optimizer_for
from hrpose_rt.training.recipes import MODERN, ORIGINAL
from hrpose_rt.training.trainer import TrainData, Trainer, load_data
from hrpose_rt.training.validation import validate
from tests.training.people_set import write_set

ALONE = DistributedContext(0, 1, torch.device("cpu"))
ROOT = Path(__file__).parents[2]
# With images this small, threads cost more than they gain.
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def settings_for(file: Path, **changes) -> TrainSettings:
    sets = (DataSet(file),)
    recipe = replace(MODERN, batch=4)
    base = TrainSettings("hrnet-w16-lite", sets, (Stage((64, 64), 2),), recipe, sets)
    return replace(base, **changes)


def trainer_for(settings: TrainSettings, folder: Path, **options) -> Trainer:
    folder.mkdir(exist_ok=True)
    data = load_data(settings.data, settings.val, settings.hold_out)
    return Trainer(settings, data, ALONE, RunOptions(folder, **options), ImageCache(2**24))


def run(trainer: Trainer, folder: Path) -> list[float]:
    losses: list[float] = []
    with MetricsLog(folder, trainer.progress.step) as log:
        trainer.run(log, losses.append)
    return losses


def test_trainer_builds_optimizer_from_recipe() -> None:
    net = torch.nn.Conv2d(1, 1, 1)
    sgd = optimizer_for(replace(ORIGINAL, optimizer="sgd", nesterov=True), net)
    assert isinstance(sgd, torch.optim.SGD)
    expected = {"lr": 1e-3, "momentum": 0.9, "weight_decay": 1e-4, "nesterov": True}
    assert {key: sgd.defaults[key] for key in expected} == expected
    adam, adamw = (optimizer_for(replace(ORIGINAL, optimizer=name), net) for name in ("adam", "adamw"))
    assert type(adam) is torch.optim.Adam and adam.defaults["weight_decay"] == 0
    assert type(adamw) is torch.optim.AdamW and adamw.defaults["weight_decay"] == 1e-4


def test_trainer_original_recipe_init_std_and_selection_by_ap(tmp_path: Path) -> None:
    file = write_set(tmp_path / "set", people=4)
    settings = settings_for(file, recipe=replace(ORIGINAL, batch=4), stages=(Stage((64, 64), 1),))
    trainer = trainer_for(settings, tmp_path / "run")
    assert trainer.net.stage2[0].branches[0][0].conv1.weight.std().item() == pytest.approx(0.001, rel=0.1)
    run(trainer, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    (validation,) = [line for line in lines if line["kind"] == "val"]
    assert validation["ap"] == trainer.progress.best and 0 <= validation["ap"] <= validation["oks"] <= 1
    assert "AP 0." in (tmp_path / "run" / "train.log").read_text()


def test_trainer_writes_checkpoints_metrics_and_curves(tmp_path: Path) -> None:
    file = write_set(tmp_path / "set", people=8)
    folder = tmp_path / "run"
    stages = (Stage((64, 64), 1), Stage((96, 64), 2))
    trainer = trainer_for(settings_for(file, stages=stages), folder)
    losses = run(trainer, folder)
    assert len(losses) == trainer.steps == 6
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines if line["kind"] == "val"] == [1, 2, 3]
    for name in ("train.log", "curves.png", "samples.png", "last.pth"):
        assert (folder / name).stat().st_size > 50, name
    assert any("tfevents" in path.name for path in folder.iterdir())
    net, _ = load_hrnet(folder / "best.pth")
    assert net.training is False
    spec = find_model(str(folder / "best.pth"), "pose").spec
    assert spec is not None
    assert (spec.input_hw, spec.heatmap_hw, spec.decode, spec.skeleton) == (
        *((96, 64), (24, 16)),
        *("dark", "coco17"),
    )


COMMAND = [sys.executable, "-m", "hrpose_rt", "train"]


def cli(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *options], capture_output=True, text=True, env=ENVIRONMENT)


def train_lines(folder: Path) -> list[dict]:
    path = folder / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.is_file() else []
    return [json.loads(line) for line in lines if line.endswith("\n") and '"train"' in line]


def test_trainer_resume_after_kill_gives_same_losses_and_weights(
    tmp_path: Path,
) -> None:
    file, val = write_set(tmp_path / "set", people=40), write_set(tmp_path / "val", people=4)
    options = ["--data", str(file), "--val", str(val), "--stages", "64x64:3", "--batch", "4"]
    options += ["--save-every", "4", "--output"]
    uninterrupted, resumed = tmp_path / "whole", tmp_path / "parts"
    done = cli(*options, str(uninterrupted))
    assert done.returncode == 0, done.stderr
    command = [*COMMAND, *options, str(resumed)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=ENVIRONMENT) as process:
        deadline = time.monotonic() + 60
        while not train_lines(resumed) and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    assert len(train_lines(resumed)) < 3, "the kill came too late"
    refused = cli(*options, str(resumed))
    assert refused.returncode == 2
    assert "holds a run already: go on with --resume, or give another --output" in refused.stderr
    again = cli(*options, str(resumed), "--resume")
    assert again.returncode == 0, again.stderr
    assert [line["step"] for line in train_lines(resumed)] == [10, 20, 30]
    assert train_lines(resumed) == train_lines(uninterrupted)
    a, b = (torch.load(f / "best.pth", weights_only=True) for f in (uninterrupted, resumed))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_trainer_distributed_losses_equal_single_process(tmp_path: Path) -> None:
    file = write_set(tmp_path / "set", people=24)
    script = str(ROOT / "tests/training/five_steps.py")
    (tmp_path / "one").mkdir(), (tmp_path / "two").mkdir()
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    losses = []
    for command, folder in (([sys.executable], "one"), (torchrun, "two")):
        done = subprocess.run(
            [*command, script, str(file), str(tmp_path / folder)],
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
        )
        assert done.returncode == 0, done.stderr
        losses.append(json.loads(done.stdout.splitlines()[-1]))
    assert len(losses[0]) == 5
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)


def test_trainer_nan_loss_stops_run_and_names_batch(tmp_path: Path) -> None:
    settings = settings_for(write_set(tmp_path / "set", people=8))
    trainer = trainer_for(settings, tmp_path / "run", save_every=1)
    trainer.save()
    checkpoint = (tmp_path / "run" / "last.pth").read_bytes()
    with torch.no_grad():
        trainer.net.final_layer.bias[3] = float("nan")
    words = r"the loss is nan at step 0: .*run keeps what was good before.*person-\d+.png, annotation 1"
    with pytest.raises(RunBroken, match=words):
        run(trainer, tmp_path / "run")
    assert (tmp_path / "run" / "last.pth").read_bytes() == checkpoint


def test_trainer_on_gpu_reads_loss_when_it_logs_or_saves(tmp_path: Path) -> None:
    trainer = trainer_for(
        settings_for(write_set(tmp_path / "set", people=8)), tmp_path / "run", save_every=7
    )
    trainer.epoch_steps = 12
    trainer._distributed = replace(trainer._distributed, device=torch.device("cuda"))
    read = []
    for step in range(1, 25):
        trainer.progress.step = step - 1  # the step to do
        if trainer._reads_loss():
            read.append(step)
    assert read == [7, 10, 12, 14, 20, 21, 24]


def test_trainer_resume_rejects_missing_checkpoint_and_other_settings(tmp_path: Path) -> None:
    file, folder = write_set(tmp_path / "set", people=8), tmp_path / "run"
    with pytest.raises(BadInput, match=r"has no last\.pth to go on from: leave out `resume`"):
        trainer_for(settings_for(file), folder).resume()
    trainer_for(settings_for(file), folder).save()
    other = trainer_for(settings_for(file, seed=3, precision="bf16"), folder)
    with pytest.raises(BadInput, match=r"other settings \(precision, seed\): give the same ones"):
        other.resume()


@pytest.mark.parametrize("broken", ["cut", "empty", "text", "a network", "no weights"])
def test_trainer_resume_rejects_broken_checkpoint(broken: str, tmp_path: Path) -> None:
    file, folder = write_set(tmp_path / "set", people=8), tmp_path / "run"
    trainer = trainer_for(settings_for(file), folder)
    trainer.save()
    last = folder / "last.pth"
    checkpoint = last.read_bytes()
    if broken in ("a network", "no weights"):
        content = torch.load(last, weights_only=True)
        torch.save(content["state_dict"] if broken == "a network" else content | {"state_dict": {}}, last)
    else:
        last.write_bytes(
            {"cut": checkpoint[: len(checkpoint) // 2], "empty": b"", "text": b"no checkpoint"}[broken]
        )
    with pytest.raises(BadInput, match=r"last\.pth is (broken or of no run|of another network) .*another"):
        trainer.resume()


def test_trainer_rejects_batch_not_divisible_by_process_count(tmp_path: Path) -> None:
    settings = settings_for(write_set(tmp_path / "set", people=8))
    data = load_data(settings.data, settings.val, 10)
    with pytest.raises(BadInput, match="a batch of 4 cannot be shared by 3 processes"):
        three = DistributedContext(0, 3, torch.device("cpu"))
        Trainer(settings, data, three, RunOptions(tmp_path), ImageCache(0))


def test_trainer_hold_out_is_human_labelled_and_not_trained_on(tmp_path: Path) -> None:
    file = write_set(tmp_path / "set", people=60)
    content = json.loads(file.read_text())
    for person in content["annotations"][::2]:
        person["keypoint_label"] = "some-network"
    content["annotations"][1]["keypoints"] = [0] * 51
    file.write_text(json.dumps(content))
    data = load_data((DataSet(file),), (), hold_out=4)
    assert not set(data.train.image_rows.tolist()) & set(data.val.image_rows.tolist())
    assert data.val.human_labelled.all() and 3 < len(data.val) < 15
    assert 101 not in data.train.ids
    assert len(load_data((DataSet(file),), (), 4, unlabelled=True).train) >= len(data.train)


def test_trainer_rejects_dataset_without_validation_people(tmp_path: Path) -> None:
    file = write_set(tmp_path / "set", people=2)
    with pytest.raises(BadInput, match=r"the data have nobody to judge by: give more"):
        load_data((DataSet(file),), (), hold_out=1000)


def test_checkpoint_start_loads_fitting_weights_and_rejects_others(tmp_path: Path) -> None:
    net = HRNet(W16_LITE)
    assert start_from(net, models_folder() / "hrnet-w16-lite.pth") == []
    backbone = {n: t for n, t in net.state_dict().items() if not n.startswith("final_layer")}
    torch.save(backbone | {"classifier.weight": torch.zeros(3)}, tmp_path / "imagenet.pth")
    fresh = HRNet(W16_LITE.with_joints(16))
    assert start_from(fresh, tmp_path / "imagenet.pth") == ["final_layer.weight", "final_layer.bias"]
    assert torch.equal(fresh.conv1.weight, net.conv1.weight)
    torch.save({"conv1.weight": torch.zeros(3)}, tmp_path / "other.pth")
    narrow = net.state_dict() | {"final_layer.weight": torch.randn(17, 16, 1, 1)}
    torch.save(narrow, tmp_path / "narrow.pth")
    assert start_from(net, tmp_path / "narrow.pth") == []
    head = HRNet(replace(W16_LITE, head_kernel=1)).final_layer
    head.load_state_dict({"weight": narrow["final_layer.weight"], "bias": net.final_layer.bias.data})
    features = torch.randn(1, 16, 8, 6)
    torch.testing.assert_close(net.final_layer(features), head(features))
    with pytest.raises(CheckpointMismatch, match=r"other\.pth is no start for this network: \d+ of its"):
        start_from(fresh, tmp_path / "other.pth")


@pytest.mark.slow
@pytest.mark.data
def test_trainer_overfits_thirty_photos(data: Path, tmp_path: Path) -> None:
    folder = data / "people-train"
    packed = folder / "people-relabelled.json.gz"
    if not packed.is_file():
        pytest.skip(f"no {packed}")
    annotations = tmp_path / "people.json"
    annotations.write_bytes(gzip.decompress(packed.read_bytes()))
    people = load_people(annotations, folder / "images")
    # Only people whose torso is not seen from its end: for them it is a fair measure.
    joints = people.skeleton.joints
    ends = people.joints[:, [joints.index("left_shoulder"), joints.index("right_hip")]]
    torsos = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1)
    tall = torsos > 0.25 * (people.boxes[:, 2:] - people.boxes[:, :2]).max(axis=1)
    rows = np.flatnonzero(people.human_labelled & (people.labelled.sum(axis=1) > 12) & tall)[:30]
    people = join([people.select(rows)])
    recipe = replace(MODERN, augmentation=Augmentation(flip=0), batch=10, ema=0.0)
    stage = Stage((128, 96), 40)
    source = (DataSet(annotations, folder / "images"),)
    settings = TrainSettings("hrnet-w16-lite", source, (stage,), recipe, source)
    settings = replace(settings, init=str(models_folder() / "hrnet-w16-lite.pth"))
    images = ImageCache(2**30)
    train_data = TrainData(people, people, ((30, 1.0),))
    trainer = Trainer(settings, train_data, ALONE, RunOptions(tmp_path), images)
    trainer.run(None, lambda loss: None)
    assert validate(trainer.net, people, recipe, stage, "fp32", images).pck > 0.95
