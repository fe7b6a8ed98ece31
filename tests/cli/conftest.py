"""The command line as tests of its commands call it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from hrpose_rt.cli import main as cli

COMMAND = [sys.executable, "-m", "hrpose_rt"]


def frames_of(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def in_process(monkeypatch, capsys, tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """Call `hrpose-rt` in this process, in an empty folder: status, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hrpose-rt", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        return exit_.value.code or 0, *capsys.readouterr()

    return call
