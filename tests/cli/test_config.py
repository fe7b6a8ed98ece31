"""`hrpose-rt config`: the file with every option, and the values in force."""

import inspect
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hrpose_rt.cli.main import build_app
from hrpose_rt.cli.run import run
from hrpose_rt.cli.values import ELSEWHERE, key_of
from hrpose_rt.errors import BadInput

RUNNER = CliRunner()


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Call `hrpose-rt config` in an empty folder; what it prints."""
    monkeypatch.chdir(tmp_path)

    def call(line: str) -> str:
        done = RUNNER.invoke(build_app(["config"]), ["config", *line.split()])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.output

    return call


def shown(text: str) -> dict[str, tuple[str, str]]:
    """By option of `config show`, its value and its origin."""
    lines = [line.lstrip("#").partition(" =") for line in text.splitlines()[1:]]
    parts = {key: rest.rpartition("  # " if "  # " in rest else " # ") for key, _, rest in lines}
    return {key: (value.strip(), origin) for key, (value, _, origin) in parts.items()}


def test_init_writes_every_option_with_help_and_default_and_loads(call) -> None:
    call("init --output new/run.toml")
    text = Path("new/run.toml").read_text()
    assert tomllib.loads(text) == {"run": {}}
    for name, parameter in inspect.signature(run).parameters.items():
        if name not in (*ELSEWHERE, "context"):
            assert f"\n#{key_of(parameter).replace('_', '-')} =" in text
    assert "\n# Leave out detections that score less, 0..1.\n#det-score = 0.25\n" in text
    assert "\n# Tracking\n" in text
    assert shown(call("show --config new/run.toml")) == shown(call("show"))


def test_init_defaults_are_accepted_as_they_are(call) -> None:
    lines = call("init").splitlines()
    set_ = [line.lstrip("#") if line[:2] not in ("", "# ") and " = " in line else line for line in lines]
    Path("all.toml").write_text("\n".join(set_))
    assert len(tomllib.loads("\n".join(set_))["run"]) > 30
    values = shown(call("show --config all.toml"))
    assert values["det-score"] == ("0.25", "all.toml") and values["smooth"] == ("true", "all.toml")


def test_init_keeps_existing_file(call) -> None:
    Path("run.toml").write_text("mine")
    with pytest.raises(BadInput, match=r"run\.toml exists"):
        call("init --output run.toml")
    assert Path("run.toml").read_text() == "mine"
    assert call("init").startswith("# Options of hrpose-rt run")


def test_show_names_the_origin_of_every_value(call, monkeypatch) -> None:
    Path("run.toml").write_text("[run]\nstride = 2\nsource = 'a b.mp4'\ntracker = 'ocsort'")
    monkeypatch.setenv("HRPOSE_THREADS", "1")
    monkeypatch.setenv("HRPOSE_TRACKER", "bytetrack")
    values = shown(call("show --config run.toml --det-score .5"))
    assert values["det-score"] == ("0.5", "command line")
    assert (values["stride"], values["source"]) == (("2", "run.toml"), ('["a b.mp4"]', "run.toml"))
    assert (values["threads"], values["tracker"]) == (
        ("1", "HRPOSE_THREADS"),
        ('"bytetrack"', "HRPOSE_TRACKER"),
    )
    assert (values["fps"], values["smooth"]) == (("", "default"), ("true", "default"))


def test_show_prints_a_file_that_loads(call) -> None:
    Path("used.toml").write_text(call("show a.mp4 --stride 3 --no-smooth --mode accurate"))
    values = shown(call("show --config used.toml"))
    assert (values["stride"], values["smooth"]) == (("3", "used.toml"), ("false", "used.toml"))
    assert values["flip-test"] == ("true", "used.toml")


def test_show_hides_secrets(call) -> None:
    text = call("show rtsp://me:pass@camera/1 --token secret")
    assert "pass" not in text and "secret" not in text
    assert shown(text)["token"] == ("", "command line, not shown")


def test_mode_sets_options_that_are_not_given(call, monkeypatch) -> None:
    values = shown(call("show --mode fast"))
    assert (values["detect-every"], values["flip-test"]) == (
        ('"auto"', "mode fast"),
        ("false", "mode fast"),
    )
    assert shown(call("show --mode fast --detect-every 2"))["detect-every"] == ('"2"', "command line")
    Path("run.toml").write_text("mode = 'accurate'\ndetect-every = 5")
    values = shown(call("show --config run.toml"))
    assert (values["flip-test"], values["detect-every"]) == (("true", "mode accurate"), ('"5"', "run.toml"))
    monkeypatch.setenv("HRPOSE_MODE", "fast")
    assert shown(call("show --config run.toml"))["flip-test"] == ("false", "mode fast")


def test_mode_wins_over_the_report_that_a_run_starts_from(call) -> None:
    options = '{"source": ["a.mp4"], "mode": "fast", "detect_every": "3", "stride": 4}'
    Path("r.json").write_text(f'{{"options": {options}}}')
    values = shown(call("show --from-report r.json"))
    assert (values["detect-every"], values["stride"]) == (('"3"', "r.json"), ("4", "r.json"))
    values = shown(call("show --from-report r.json --mode balanced"))
    assert (values["detect-every"][0], values["stride"]) == ("", ("4", "r.json"))


def test_unknown_mode_is_refused(call) -> None:
    with pytest.raises(BadInput, match="there is no `mode` slow: choose fast, balanced, accurate"):
        call("show --mode slow")
