"""The sample notebook runs from top to bottom, and is stored without outputs."""

import json
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[1] / "samples"
CELLS = json.loads((SAMPLES / "poses.ipynb").read_text(encoding="utf-8"))["cells"]
CODE = [cell for cell in CELLS if cell["cell_type"] == "code"]


def test_notebook_is_stored_without_outputs() -> None:
    assert CODE
    assert not any(cell["outputs"] or cell["execution_count"] for cell in CODE)


@pytest.mark.slow
def test_notebook_cells_run_and_find_people(tmp_path, monkeypatch, photos, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.syspath_prepend(SAMPLES)
    names: dict[str, object] = {}
    for cell in CODE:
        exec(compile("".join(cell["source"]), f"poses.ipynb, cell {cell['id']}", "exec"), names)
    assert len(names["result"]) >= 3  # four stand before the bus, one of them at the edge
    assert names["people"].row_count == len(names["result"])
    assert max(names["counts"]) >= 10 and names["ids"]
    assert names["latency"].row_count == len(set(names["counts"]))
    assert capsys.readouterr().out.startswith("20 frames, ")
