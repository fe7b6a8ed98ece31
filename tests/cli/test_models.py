"""`hrpose-rt models`: what is listed, described and fetched."""

import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hrpose_rt.cli.main import build_app
from hrpose_rt.cli.models import list_models
from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.nets.published import PUBLISHED
from hrpose_rt.nets.published_onnx import PUBLISHED_ONNX
from hrpose_rt.nets.zoo import EMBEDDED
from hrpose_rt.paths import models_folder
from tests.onnx_files import simcc


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("HRPOSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path / "home"


def models(*words: str) -> str:
    done = CliRunner().invoke(build_app(), ["models", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_models_list_shows_every_full_name(home: Path) -> None:
    text = models("list")
    for name in (*EMBEDDED, *PUBLISHED, *PUBLISHED_ONNX, "yolo26n"):
        assert re.search(rf"^{name}\b", text, re.M)
    assert "hrnet-w32 is hrnet-w32-256x192" in text
    assert str(home / "models") in text


def test_models_info_of_missing_model_shows_pull_command() -> None:
    text = models("info", "hrnet-w48-384x288-udp")
    assert "not here yet: hrpose-rt models pull hrnet-w48-384x288-udp fetches https://" in text
    assert "decode: udp" in text and "inputs: 384x288" in text


def test_models_info_of_onnx_network_before_and_after_it_is_here(home: Path) -> None:
    text = models("info", "rtmpose-m-halpe26")
    assert "models pull rtmpose-m-halpe26 fetches https://" in text
    assert "skeleton: halpe26" in text and "inputs: 256x192" in text
    (home / "models").mkdir(parents=True)
    simcc(home / "models" / "rtmpose-m-halpe26.onnx", joints=26)  # put there by hand
    text = models("info", "rtmpose-m-halpe26")
    assert "decode: simcc" in text and "skeleton: halpe26" in text and "inputs: 64x64" in text


def test_models_info_of_checkpoint_reads_spec_json_beside_it(tmp_path: Path) -> None:
    assert "skeleton: coco17" in models("info", "hrnet-w16-lite")
    mine = tmp_path / "mine.pth"
    shutil.copy(models_folder() / "hrnet-w16-lite.pth", mine)
    with pytest.raises(BadInput, match=r"nothing says what .*mine\.pth holds"):
        models("info", str(mine))
    shutil.copy(models_folder() / "hrnet-w16-lite.json", mine.with_suffix(".json"))
    assert "decode: dark" in models("info", str(mine))


def test_models_pull_skips_download_of_embedded_model(home: Path) -> None:
    assert "yolo26n-person is here: " in models("pull", "yolo26n-person")


def test_models_pull_download_failure_names_url(monkeypatch) -> None:
    from hrpose_rt.nets import zoo

    def broken(url: str, *_: object) -> None:
        raise RunBroken(f"could not fetch {url}")

    monkeypatch.setattr(zoo, "fetch", broken)
    with pytest.raises(RunBroken, match=r"could not fetch https://.*81c58e40_20220909\.pth"):
        models("pull", "hrnet-w32")


def test_models_list_fits_80_columns(monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    list_models()
    out = capsys.readouterr().out
    assert "…" not in out
    assert "detection" in out
    assert "Mean@0.1" in out
