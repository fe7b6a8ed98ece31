"""The command line's frame: errors, versions, libraries that are missing."""

import errno
import os
import re
import signal
import subprocess
import sys

import pytest
from typer.main import get_command

from hrpose_rt.cli import main as cli
from hrpose_rt.errors import BadInput, RunBroken


def call(monkeypatch, *arguments: str) -> int:
    """Run `hrpose-rt` in this process; its exit status."""
    monkeypatch.setattr(sys, "argv", ["hrpose-rt", *arguments])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    return exit_.value.code or 0


def test_version_option_prints_version(monkeypatch, capsys) -> None:
    assert call(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.startswith("hrpose-rt 0.")


@pytest.mark.parametrize("option", ["--version", "--help", "-h"])
def test_version_and_help_load_no_library_but_typer(option: str) -> None:
    code = (
        "import atexit, sys; from hrpose_rt.cli.main import main; sys.argv = ['hrpose-rt', sys.argv[1]]\n"
        "heavy = 'numpy cv2 rich openvino onnxruntime torch hrpose_rt.bench hrpose_rt.networks'.split()\n"
        "atexit.register(lambda: print('loaded', [m for m in heavy if m in sys.modules]))\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code, option], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("loaded []\n")


def test_help_lists_every_command(monkeypatch, capsys) -> None:
    assert call(monkeypatch, "--help") == 0
    out = capsys.readouterr().out
    for name, command in cli.COMMANDS.items():
        assert f"  {name} " in out
        assert command.help in " ".join(out.split())


def test_an_unknown_command_is_answered_with_a_suggestion(monkeypatch, capsys) -> None:
    assert call(monkeypatch, "runn") == 2
    assert "Did you mean 'run'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "panels"),
    [
        ("run", ["Input", "Output", "Models", "Tracking", "Speed"]),
        ("train", ["Data", "Output", "Recipe", "Machine"]),
        ("export", []),
    ],
)
def test_help_has_panels_and_examples(command, panels, monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert call(monkeypatch, command, "-h") == 0
    out = capsys.readouterr().out
    shown = re.findall(r"^╭─ (\w+) ─", out, re.M)
    assert shown[len(shown) - len(panels) :] == panels
    for example in cli.COMMANDS[command].examples:
        assert example in out


def test_help_has_no_words_that_rich_takes_for_a_style() -> None:
    commands = [get_command(cli.build_app())]
    for command in commands:
        commands += getattr(command, "commands", {}).values()
    texts = {text for c in commands for text in (c.help, *(p.help for p in c.params if hasattr(p, "help")))}
    assert len(commands) > 15 and len(texts) > 100
    assert [text for text in texts if re.search(r"\[[a-z#/@]", text or "")] == []


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--conf", "use --det-score"),
        ("--vid-stride=2", "use --stride"),
        ("--vid_stride=2", "use --stride"),
        ("--save=True", "name the file, such as --save annotated.mp4"),
        ("conf=0.4", "conf=0.4 is no source: options are --conf VALUE"),
    ],
)
def test_options_of_other_programs_name_the_one_here(option, words, monkeypatch, capsys) -> None:
    assert call(monkeypatch, "run", "a.mp4", option) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("command", ["predict", "track", "pose"])
def test_commands_of_other_programs_name_run(command, monkeypatch, capsys) -> None:
    assert call(monkeypatch, command, "source=a.mp4") == 2
    assert f"there is no {command}: use hrpose-rt run video.mp4" in capsys.readouterr().err


def test_shell_completion_knows_commands_and_their_options() -> None:
    def complete(line: str) -> str:
        words = line.split(" ")
        env = {
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
            "_HRPOSE_RT_COMPLETE": "complete_bash",
        }
        code = "import sys; from hrpose_rt.cli.main import main; sys.argv = ['hrpose-rt']; main()"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | env, check=True
        )
        return done.stdout

    assert complete("hrpose-rt ex").split() == ["export"]
    assert complete("hrpose-rt run --max-p").split() == ["--max-people", "--max-pose-age"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--kpt-score", "2"), "--kpt-score is a score in 0..1, not 2"),
        (("--trails", "-1"), "--trails is a number of seconds, 0 or more, not -1"),
    ],
)
def test_drawing_options_out_of_range_are_refused(options, words, monkeypatch, capsys) -> None:
    assert call(monkeypatch, "run", "a.mp4", *options) == 2
    assert capsys.readouterr().err == f"hrpose-rt: {words}\n"


def test_an_unknown_option_is_a_usage_error(monkeypatch, capsys) -> None:
    assert call(monkeypatch, "run", "a.mp4", "--nonsense") == 2
    assert "--nonsense" in capsys.readouterr().err


@pytest.mark.parametrize(("error", "status"), [(BadInput("what and why"), 2), (RunBroken("what broke"), 1)])
def test_error_prints_one_line_and_sets_exit_status(error, status, monkeypatch, capsys) -> None:
    def fail():
        raise error

    monkeypatch.setattr(cli, "build_app", lambda commands: fail)
    assert call(monkeypatch, "run", "a.mp4") == status
    assert capsys.readouterr().err == f"hrpose-rt: {error}\n"
    monkeypatch.setattr(sys, "argv", ["hrpose-rt", "run", "a.mp4", "--debug"])
    with pytest.raises(type(error)):  # and with it the traceback
        cli.main()


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            "libGL.so.1: cannot open shared object file: No such file or directory",
            "the system library libGL.so.1 is missing: apt-get install libgl1",
        ),
        (
            "libodd.so.7: cannot open shared object file: No such file or directory",
            "the system library libodd.so.7 is missing: install the package that holds libodd.so.7",
        ),
    ],
)
def test_missing_shared_library_names_apt_package(message, words, monkeypatch, capsys) -> None:
    def fail(commands):
        raise ImportError(message)

    monkeypatch.setattr(cli, "build_app", fail)
    assert call(monkeypatch, "run", "a.mp4") == 2
    assert capsys.readouterr().err == f"hrpose-rt: {words}\n"


def test_other_import_error_is_reraised(monkeypatch) -> None:
    def fail(commands):
        raise ImportError("No module named 'nonsense'")

    monkeypatch.setattr(cli, "build_app", fail)
    monkeypatch.setattr(sys, "argv", ["hrpose-rt"])
    with pytest.raises(ImportError, match="nonsense"):
        cli.main()


def test_full_disk_is_one_sentence_wherever_it_is_met(monkeypatch, capsys) -> None:
    def write():
        raise OSError(errno.ENOSPC, "No space left on device")  # as of a write, which names no path

    monkeypatch.setattr(cli, "build_app", lambda commands: write)
    assert call(monkeypatch, "run", "a.mp4") == 1
    assert capsys.readouterr().err == "hrpose-rt: the disk is full: make room, and run the command again\n"


def test_keyboard_interrupt_exits_with_status_130(monkeypatch) -> None:
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "build_app", lambda commands: interrupt)
    assert call(monkeypatch, "run", "a.mp4") == 130


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signal_before_the_work_begins_cleans_up(number, monkeypatch, tmp_path) -> None:
    copy = tmp_path / "copy"

    def command():
        copy.touch()
        try:
            signal.raise_signal(number)
        finally:
            copy.unlink()

    before = signal.getsignal(number)
    monkeypatch.setattr(cli, "build_app", lambda commands: command)
    assert call(monkeypatch, "export", "hrnet-w32") == 128 + number
    assert not copy.exists() and signal.getsignal(number) is before


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("`max_people` is 0 or more", "--max-people is 0 or more"),
        ("use `runtime` torch, or `format` onnx", "use --runtime torch, or --format onnx"),
        ("`memory_s` is 0 or more: give another `folder`", "--memory is 0 or more: give another --output"),
    ],
)
def test_error_message_uses_cli_option_names(message, said) -> None:
    assert cli.name_options(message) == said
