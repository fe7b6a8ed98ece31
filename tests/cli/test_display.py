"""What the terminal shows."""

import io
from dataclasses import replace

from rich.console import Console

from hrpose_rt.cli.display import LiveView, describe, latency_table
from hrpose_rt.pipeline import PosePipeline
from hrpose_rt.run_info import HardwareInfo
from hrpose_rt.timing import LatencyTable
from hrpose_rt.types import StageTimes
from tests.fakes import FakeSource, fake_networks


def printed(renderable) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(renderable)
    return console.file.getvalue()


def test_latency_table_has_crowd_columns_and_stage_rows() -> None:
    table = LatencyTable()
    for people, total in ((2, 10.0), (3, 20.0), (60, 80.0)):
        table.add(people, StageTimes(detect=4.0, total=total, age=99.0))
    lines = [line.split() for line in printed(latency_table(table)).splitlines()]
    cells = {words[1]: [w for w in words[2:] if w not in "│/┃"] for words in lines if len(words) > 3}
    assert cells["people"] == ["1-5", "50+"]
    assert cells["frames"] == ["2", "1"]
    assert cells["detect"] == ["4.0", "4.0", "4.0", "4.0"]
    assert cells["total"] == ["10.0", "20.0", "80.0", "80.0"]
    assert {"letterbox", "track", "crop", "pose", "heatmap", "other", "read", "draw", "write"} < set(cells)


def test_describe_names_networks_runtimes_precision_and_cpu() -> None:
    info = fake_networks().info
    assert describe(replace(info, hardware=HardwareInfo(2, "Z80", ("avx2",)))) == (
        "pose fake-pose 256x192 on fake fp32 (cpu: for a test), people fake-detector on fake bf16; "
        "2 threads of Z80 (avx2)"
    )
    assert "features unknown" in describe(info)


def test_live_view_shows_progress_only_on_terminal() -> None:
    source = FakeSource(frames=4)
    for terminal in (True, False):
        console = Console(file=io.StringIO(), force_terminal=terminal, width=120)
        with PosePipeline(networks=fake_networks([3])) as pipeline, LiveView(console) as view:
            view.begin("fake", source.info)
            for result in pipeline.stream(source):
                view.update("fake", result)
            view.end("fake")
        text = console.file.getvalue()
        assert ("people 3" in text) == terminal
        assert ("/4" in text) == terminal
