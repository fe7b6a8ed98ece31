"""The command line as tests of its commands call it."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hrpose_rt.cli import main as cli


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
