"""Options from a TOML file and from the environment: who wins, and what is refused."""

import sys
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from hrpose_rt.cli import main as cli
from hrpose_rt.cli.app import App
from hrpose_rt.cli.main import build_app
from hrpose_rt.errors import BadInput

RUNNER = CliRunner()


@pytest.fixture
def app() -> App:
    """A command line with two commands that print what they get."""
    app, group = App(), App()

    @app.command("draw")
    def draw(
        source: Annotated[list[str], typer.Argument()],
        score: float = 0.3,
        size: Annotated[int | None, typer.Option("--size")] = None,
        lines: Annotated[str | None, typer.Option("--json")] = None,
        start: Annotated[float, typer.Option(parser=lambda text: float(str(text).replace(":", ".")))] = 0.0,
        smooth: Annotated[bool, typer.Option("--smooth/--no-smooth")] = True,
        output: Path = Path("here"),
    ) -> None:
        print([source, score, size, lines, start, smooth, output])

    @group.command("coco")
    def coco(score: float = 0.1, data: str = "none") -> None:
        if score > 1:
            raise BadInput(f"`score` is {score:g}: it is 1 at most")
        print([score, data])

    @group.command("mpii")
    def mpii() -> None: ...

    app.add_typer(group, name="eval")
    return app


@pytest.fixture
def call(app, tmp_path, monkeypatch):
    """Call the command line with a file run.toml: what it prints, or the message of its error."""
    monkeypatch.chdir(tmp_path)

    def call(line: str, toml: str = "") -> str:
        Path("run.toml").write_text(toml)
        done = RUNNER.invoke(app, line.split())
        if isinstance(done.exception, BadInput):
            return str(done.exception)
        return done.output.strip()

    return call


def test_file_fills_in_arguments_and_options_of_every_type(call) -> None:
    toml = """
        source = ["a.mp4", "b c.mp4"]
        score = 1
        size = 7
        json = "o.jsonl"
        start = "1:5"
        smooth = false
        output = "there"
    """
    values = "[['a.mp4', 'b c.mp4'], 1.0, 7, 'o.jsonl', 1.5, False, PosixPath('there')]"
    assert call("draw --config run.toml", toml) == values


def test_text_may_be_a_number_and_a_list_a_single_value(call) -> None:
    assert call("draw --config run.toml", "source = 0\njson = 8000").startswith(
        "[['0'], 0.3, None, '8000',"
    )


def test_command_line_wins_over_environment_over_file_over_default(call, monkeypatch) -> None:
    file = "[eval.coco]\nscore = 0.2"
    assert call("eval coco") == "[0.1, 'none']"
    assert call("eval coco --config run.toml", file) == "[0.2, 'none']"
    monkeypatch.setenv("HRPOSE_SCORE", "0.4")
    assert call("eval coco --config run.toml", file) == "[0.4, 'none']"
    assert call("eval coco --config run.toml --score .5", file) == "[0.5, 'none']"


def test_table_of_the_command_wins_and_tables_of_others_are_left(call) -> None:
    file = "score = 0.2\n[eval]\nscore = 0.6\n[eval.mpii]\nnonsense = 1\n[draw]\nsize = 2"
    assert call("eval coco --config run.toml", file) == "[0.6, 'none']"
    assert call("draw a --config run.toml", file).startswith("[['a'], 0.2, 2,")


def test_environment_names_the_file_and_flags_take_words(call, monkeypatch) -> None:
    monkeypatch.setenv("HRPOSE_CONFIG", "run.toml")
    for word, value in {"0": False, "false": False, "1": True, "true": True}.items():
        monkeypatch.setenv("HRPOSE_SMOOTH", word)
        assert f", {value}, " in call("draw a", "size = 2")
        assert ", 2, " in call("draw a", "size = 2")


def test_empty_variable_is_unset_and_taken_names_mean_what_they_did(call, monkeypatch) -> None:
    monkeypatch.setenv("HRPOSE_SCORE", "")
    monkeypatch.setenv("HRPOSE_DATA", "folder")
    assert call("eval coco") == "[0.1, 'none']"


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("scor = 1", "run.toml: draw has no scor: use score"),
        ("zzz = 1", "run.toml: draw has no zzz: hrpose-rt draw --help lists what it has"),
        ("config = 'other.toml'", "run.toml: draw has no config"),
        ("[drow]\nsize = 1", "run.toml: draw has no drow"),
        ("score = true", "run.toml: score is a number, not True: correct it"),
        ("size = 1.5", "run.toml: size is a whole number, not 1.5: correct it"),
        ("smooth = 1", "run.toml: smooth is true or false, not 1: correct it"),
        ("json = [1]", "run.toml: json is text, not [1]: correct it"),
        ("output = ''", "run.toml: output is empty: leave it out, or give it something"),
        ("source = [[1]]", "run.toml: source is a list of text, not [1]: correct it"),
        ("draw = 1", "run.toml: draw is a command: write its options below a line with [draw]"),
        ("eval = 1", "run.toml: eval is a command: write its options below a line with [eval]"),
        ("score =", "run.toml is no TOML (Invalid value"),
        ("a = " + "[" * 9999, "run.toml is no TOML (maximum recursion depth exceeded"),
    ],
)
def test_wrong_files_are_refused_with_the_key(toml, words, call) -> None:
    assert call("draw a --config run.toml", toml).startswith(words)


@pytest.mark.parametrize("option", ["--output", "--config"])
def test_empty_path_is_refused_instead_of_the_current_folder(option, call) -> None:
    words = f"{option} is empty: leave it out, or give it something"
    assert call(f"draw a {option}=") == words


def test_one_key_with_both_spellings_is_refused(call) -> None:
    (tmp := Path("two.toml")).write_text("csv-long = 'a'\ncsv_long = 'b'")
    done = RUNNER.invoke(build_app(["run"]), ["run", "a", "--config", str(tmp)])
    assert str(done.exception) == "two.toml has csv_long twice, with - and with _: leave one out"


def test_missing_file_is_named(call) -> None:
    assert call("draw a --config gone.toml").startswith("gone.toml cannot be read (No such file")


def test_refused_value_names_its_origin(call, monkeypatch) -> None:
    assert call("eval coco --score 2") == "`score` is 2: it is 1 at most"
    from_file = "`score` is 2: it is 1 at most (--score is from run.toml)"
    assert call("eval coco --config run.toml", "score = 2") == from_file
    monkeypatch.setenv("HRPOSE_SCORE", "3")
    assert call("eval coco").endswith("(--score is from HRPOSE_SCORE)")
    assert call("eval coco --score 4") == "`score` is 4: it is 1 at most"


def test_debug_may_come_from_the_environment(monkeypatch) -> None:
    monkeypatch.setattr("hrpose_rt.console.debug", False)
    monkeypatch.setattr(sys, "argv", ["hrpose-rt", "run", "gone.mp4"])
    monkeypatch.setenv("HRPOSE_DEBUG", "1")
    with pytest.raises(BadInput, match=r"gone\.mp4 does not exist"):
        cli.main()


def test_every_command_takes_a_config_file() -> None:
    from typer.main import get_command

    def leaves(command):
        inner = getattr(command, "commands", None)
        return [leaf for one in inner.values() for leaf in leaves(one)] if inner else [command]

    found = leaves(get_command(build_app()))
    assert len(found) > 10
    without = [one.name for one in found if "config" not in {param.name for param in one.params}]
    assert without == ["show"]  # it hands its options to run
