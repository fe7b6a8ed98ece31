"""`hrpose-rt bench crowd` and `bench check`: the cost of a frame by number of people."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from hrpose_rt.bench.crowd import BLOCK, BenchSource, Variant, check_untimed, measure
from hrpose_rt.cli import options
from hrpose_rt.cli.outputs import check_free
from hrpose_rt.config import Settings
from hrpose_rt.console import say
from hrpose_rt.errors import BadInput, RunBroken, install_hint
from hrpose_rt.export.examples import packaged_or
from hrpose_rt.networks import Networks, open_networks

CROWDS = {"1-5": (1, 3, 5), "6-10": (6, 8, 10), "15-20": (15, 18, 20), "50+": (50, 75, 100, 200)}
ORIGINALS = {"5-10": "6-10"}  # names used by the original
SIZES_WH = {"720p": (1280, 720), "1080p": (1920, 1080)}
MIN_TEXT_COLUMN = 8  # characters of a text column on a narrow terminal
DEFAULT_S, QUICK_S, QUICK_FRAMES = 720.0, 90.0, 60


@options.with_settings("pose", "detector", "device", "threads")
def bench_crowd(
    settings: Settings,
    crowd: Annotated[str, typer.Option(help="Measure these bins or numbers of people.")] = ",".join(CROWDS),
    source: Annotated[
        str | None, typer.Option(help="Measure this video; its frames are binned by detected people.")
    ] = None,
    people: Annotated[
        Path | None, typer.Option(help="Cut people out of the photos in this folder.")
    ] = None,
    size: Annotated[str, typer.Option(help="Compose frames of this size: 720p or 1080p.")] = "720p",
    frames: Annotated[int, typer.Option(help="Measure N frames of each bin.")] = 300,
    runtime: Annotated[str, typer.Option(help="Use this runtime, or several with commas.")] = "auto",
    precision: Annotated[str, typer.Option(help="Use this precision, or several with commas.")] = "auto",
    input_hw: Annotated[
        str | None, typer.Option(help="Set the crop size, such as 384x288. Default: the model's own.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Set the seed of the composed scenes.")] = 0,
    quick: Annotated[
        bool, typer.Option("--quick", help="Finish in under two minutes, with wider intervals.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="Write JSON, Markdown and plots to this folder.")
    ] = None,
    overwrite: options.Overwrite = False,
    debug: options.Debug = False,
) -> None:
    """Measure what a frame with 1-5, 6-10, 15-20 and 50+ people costs, and how many people it misses."""
    from hrpose_rt.bench import report_text
    from hrpose_rt.bench.report import build_report

    counts = parse_crowds(crowd)
    if size not in SIZES_WH:
        raise BadInput(f"--size is {' or '.join(SIZES_WH)}, not {size}")
    if frames < BLOCK:
        raise BadInput(f"--frames is {BLOCK} or more, not {frames}")
    if output:
        check_free(output / "report.json", overwrite)
    until = time.perf_counter() + (QUICK_S if quick else DEFAULT_S)
    with ExitStack() as stack:
        variants = []
        for one, other in product(runtime.split(","), precision.split(",")):
            pose = in_size(settings.pose, input_hw, other)
            varied = replace(settings, pose=pose, runtime=one, precision=other)
            variants.append(stack.enter_context(_variant(varied)))
        with _progress("composing") as progress:
            feeds = _sources(counts, source, people, SIZES_WH[size], seed, variants[0].networks)
            rounds = max(2, (QUICK_FRAMES if quick else frames) // (BLOCK * 3))
            cells = measure(variants, feeds, rounds, until - time.perf_counter(), progress)
        report = build_report(variants, cells, *check_untimed(cells))
    Console().print(as_table(report_text.crowd_rows(report)))
    for line in report_text.sentences(report):
        print(line)
    if output:
        files = report_text.save(report, output)
        if find_spec("matplotlib"):
            from hrpose_rt.bench.plots import save_plots

            files += save_plots(report, cells, output)
        else:
            print(f"no plots: {install_hint('train')}")
        print(f"written: {', '.join(str(file) for file in files)}")
    if report["refused"]:
        raise RunBroken(f"{report['refused']}; the report says so, too")


def bench_check(
    base: Annotated[Path, typer.Argument(help="The older report.json.")],
    now: Annotated[Path, typer.Argument(help="The newer report.json.")],
    debug: options.Debug = False,
) -> None:
    """Print the cells that changed beyond noise between two reports of one machine."""
    from hrpose_rt.bench.report import load, regressions

    lines = regressions(load(base), load(now))
    for line in lines:
        print(line)
    if lines:
        raise RunBroken(f"{len(lines)} cells moved beyond noise")
    print("no cell moved beyond noise")


def parse_crowds(text: str) -> list[int]:
    """Parse crowd bins and numbers into numbers of people."""
    counts: list[int] = []
    for part in text.split(","):
        name = ORIGINALS.get(part, part)
        if name in CROWDS:
            counts += CROWDS[name]
        elif part.isdecimal() and int(part):
            counts.append(int(part))
        else:
            raise BadInput(
                f"--crowd {part} is not a crowd size: give numbers, or some of {', '.join(CROWDS)}"
            )
    return counts


def in_size(pose: str, input_hw: str | None, precision: str) -> str:
    """Return an engine of the pose network for another crop size; a missing one is built."""
    if input_hw is None:
        return pose
    from hrpose_rt.cli.options import parse_hw
    from hrpose_rt.export.engines import export
    from hrpose_rt.export.request import ExportRequest
    from hrpose_rt.nets.zoo import find_model

    stored = "int8" if precision == "int8" else "fp32"  # OpenVINO rounds an fp32 graph to 16 bits itself
    order = ExportRequest(precision=stored, input_hw=parse_hw(input_hw))
    return str(export(find_model(pose, "pose"), "pose", order, say).path)


def as_table(rows: Sequence[Sequence[str]]) -> Table:
    """A table of rows, the header first. A narrow terminal folds text and cuts no number."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for head, *cells in zip(*rows, strict=True):
        if any(" " in cell for cell in cells):
            table.add_column(head, overflow="fold", min_width=MIN_TEXT_COLUMN)
        else:
            table.add_column(head.replace(" ", "\n"), no_wrap=True, justify="right")
    for row in rows[1:]:
        table.add_row(*row)
    return table


@contextmanager
def _progress(first: str) -> Iterator[Callable[[str], None]]:
    """Show progress: on a terminal in one changing line, elsewhere in a new line for each round."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status(first) as status:
            yield status.update
        return
    said = {first}
    say(first)

    def progress(step: str) -> None:
        what = step.partition(",")[0]
        if what not in said:
            said.add(what)
            say(what)

    yield progress


@contextmanager
def _variant(settings: Settings) -> Iterator[Variant]:
    with open_networks(settings) as networks:
        pose = networks.info.pose
        name = f"{pose.model} {pose.precision} {pose.runtime}"
        yield Variant(name, settings, networks)


def _sources(
    counts: list[int],
    source: str | None,
    people: Path | None,
    size_wh: tuple[int, int],
    seed: int,
    networks: Networks,
) -> list[BenchSource]:
    if source:
        from hrpose_rt.bench.mosaic import Mosaic
        from hrpose_rt.sources.open import open_source

        with open_source(source) as video:
            own_wh = (video.info.width, video.info.height)
        return [
            Mosaic(source, 1, own_wh),
            *(Mosaic(source, side, size_wh, detector=networks.detector) for side in (2, 3)),
        ]
    from hrpose_rt.bench.cutouts import cut_out
    from hrpose_rt.bench.scenes import Scene

    cutouts = cut_out(packaged_or(people), networks)
    if not cutouts:
        raise BadInput("nobody in the photos can be cut out: give others to --people")
    return [Scene(cutouts, count, size_wh, seed=seed) for count in counts]
