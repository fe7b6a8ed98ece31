"""Whose stderr it is."""

import os

import cv2
import pytest

from hrpose_rt.sources.quiet_stderr import silence_stderr


@pytest.mark.parametrize("own", [True, False])
def test_stderr_is_silenced_only_in_own_process(own: bool, capfd, monkeypatch) -> None:
    monkeypatch.setattr("hrpose_rt.console.own_process", own)
    level = cv2.utils.logging.getLogLevel()
    with silence_stderr():
        assert cv2.utils.logging.getLogLevel() == 0
        os.write(2, b"meanwhile, ")
    os.write(2, b"afterwards")
    assert cv2.utils.logging.getLogLevel() == level
    assert capfd.readouterr().err == ("" if own else "meanwhile, ") + "afterwards"
