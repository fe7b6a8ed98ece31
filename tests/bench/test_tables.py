"""The pages of results equal the tables made from the result files."""

import importlib.util
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("tables", BENCHMARKS / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_result_pages_equal_generated_tables(tables) -> None:
    page = (BENCHMARKS / "README.md").read_text()
    shown = page.partition(tables.BEGIN)[2].partition(tables.END)[0].strip()
    assert shown == tables.results_block().strip()
    crowd = tables.crowd_page(tables.load("crowd.json"), tables.load("compare.json"))
    assert (BENCHMARKS / "results" / "crowd.md").read_text() == crowd


def test_crowd_page_has_all_bins_and_no_empty_cells(tables) -> None:
    page = (BENCHMARKS / "results" / "crowd.md").read_text()
    lines = [line for line in page.splitlines() if line.startswith("| ")][2:]
    assert [line.split("|")[1].strip() for line in lines] == ["1-5", "5-10", "15-20", "50+"]
    for line in lines:
        cells = [cell.strip() for cell in line.split("|")[4:-1]]
        assert all(cells), line


def test_scale_page_equals_generated_tables(tables) -> None:
    page = (BENCHMARKS.parent / "docs" / "scale.md").read_text()
    shown = page.partition(tables.BEGIN)[2].partition(tables.END)[0].strip()
    assert shown == tables.scale_results()


def test_batch_page_equals_generated_tables(tables) -> None:
    page = (BENCHMARKS.parent / "docs" / "batch.md").read_text()
    shown = page.partition(tables.BEGIN)[2].partition(tables.END)[0].strip()
    assert shown == tables.seams_block(tables.load("batch_seams.json")).strip()
