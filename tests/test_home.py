"""The folder of what is fetched and built."""

import os
from pathlib import Path

import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.export.engines import Order, export
from hrpose_rt.home import make_writable
from hrpose_rt.nets.download import fetch
from hrpose_rt.nets.zoo import find_model


def test_a_folder_is_made(tmp_path: Path) -> None:
    make_writable(tmp_path / "a" / "b")
    make_writable(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize("how", ["file", "read-only"])
def test_a_home_that_cannot_be_written_is_said_with_the_way_out(how, tmp_path: Path, monkeypatch) -> None:
    home = tmp_path / "home"
    if how == "file":
        home.write_text("in the way")
    else:
        monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setenv("HRPOSE_HOME", str(home))
    words = "home/.* cannot be written .*: set HRPOSE_HOME to a folder that can be written"
    with pytest.raises(BadInput, match=words):
        export(find_model("hrnet-w16-lite", "pose"), "pose", Order("onnx", "fp32"), lambda step: None)
    with pytest.raises(BadInput, match=words):
        fetch("http://127.0.0.1:9/net.pth", home / "models" / "net.pth", "0", lambda done, total: None)
    with pytest.raises(BadInput, match=r"cannot be written .*: choose another --output"):
        order = Order("onnx", "fp32", folder=home / "engines")
        export(find_model("hrnet-w16-lite", "pose"), "pose", order, lambda step: None)
