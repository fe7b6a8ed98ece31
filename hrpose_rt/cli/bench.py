"""`hrpose-rt bench`: measure networks on this machine."""

from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hrpose_rt.bench.engine import EngineTiming, RuntimeCandidate, time_engines, to_dict
from hrpose_rt.cli import options
from hrpose_rt.cli.app import App
from hrpose_rt.cli.bench_budget import bench_bounded
from hrpose_rt.cli.bench_compare import bench_compare
from hrpose_rt.cli.bench_crowd import bench_check, bench_crowd
from hrpose_rt.cli.models import find, task_of
from hrpose_rt.cli.outputs import check_free
from hrpose_rt.config import Settings
from hrpose_rt.errors import BadInput
from hrpose_rt.hardware import gpu_facts
from hrpose_rt.nets.spec import Task
from hrpose_rt.nets.zoo import Model
from hrpose_rt.networks import hardware_info
from hrpose_rt.open_model import open_by_name
from hrpose_rt.paths import write_json
from hrpose_rt.runtimes.base import Runtime
from hrpose_rt.runtimes.selection import gpu_number

app = App(no_args_is_help=True, help="Measure the speed of networks on this machine.")
ENGINE_REPORT_SCHEMA = 1


app.command("crowd")(bench_crowd)
app.command("bounded")(bench_bounded)
app.command("compare")(bench_compare)
app.command("check")(bench_check)


@app.callback()
def several() -> None:
    """Measure the speed of networks on this machine."""


@app.command("engine")
def bench_engine(
    model: Annotated[str, typer.Argument(help="A model's name or a file.")],
    runtime: Annotated[str, typer.Option(help="Use this runtime, or several with commas.")] = "auto",
    precision: Annotated[
        str,
        typer.Option(
            help="Use this precision, or several with commas. Pairs that do not exist are skipped."
        ),
    ] = "auto",
    batch: Annotated[str, typer.Option(help="Measure these batch sizes.")] = "1,2,4,8,16,32",
    device: options.Device = "auto",
    url: options.Url = "",
    seconds: Annotated[float, typer.Option(help="Measure each batch size for this many seconds.")] = 5.0,
    threads: options.Threads = 0,
    output: Annotated[Path | None, typer.Option(help="Write the results to this JSON file.")] = None,
    overwrite: options.Overwrite = False,
    debug: options.Debug = False,
) -> None:
    """Time a network at each batch size, all runtimes in turn, against the machine's measured peak."""
    batches = _numbers(batch)
    if output:
        check_free(output, overwrite)
    console = Console(stderr=True)
    task = task_of(model)
    chosen = find(model, task)
    settings = [
        _settings(one, other, device, url, threads)
        for one in runtime.split(",")
        for other in precision.split(",")
    ]
    with ExitStack() as stack:
        candidates, refused = [], []
        for setting in settings:
            try:
                candidates.append(_candidate(model, chosen, task, setting, console))
            except BadInput as error:  # this pair does not exist, others may
                refused.append(error)
                continue
            stack.callback(candidates[-1].runtime.close)
        if not candidates:
            raise refused[0]
        with console.status("measuring") as status:
            cells = time_engines(
                candidates, batches, seconds, lambda step: status.update(f"measuring, {step}")
            )
    hardware = hardware_info(threads)
    Console().print(_table(cells))
    print(f"{chosen.name} on {hardware}")
    gpus = _gpus(candidates)
    for gpu in gpus.values():
        print(", ".join(f"{name} {value}" for name, value in gpu.items()))
    if output:
        report = {"hrpose": version("hrpose-rt"), "schema": ENGINE_REPORT_SCHEMA, "model": chosen.name}
        report |= hardware.to_dict()
        peaks = {f"{c.runtime.name} {c.runtime.precision}": round(c.peak / 1e9, 1) for c in candidates}
        report |= {"gpus": gpus} if gpus else {}
        report |= {"gflop": round(candidates[0].flops / 1e9, 3), "peak_gflops": peaks}
        write_json(output, report | {"cells": to_dict(cells)}, indent=2)


def _settings(runtime: str, precision: str, device: str, url: str, threads: int) -> Settings:
    if runtime == "triton":  # which may be one of several
        return Settings(runtime=runtime, precision=precision, url=url)
    return Settings(runtime=runtime, precision=precision, device=device, threads=threads)


def _candidate(
    name: str, model: Model, task: Task, settings: Settings, console: Console
) -> RuntimeCandidate:
    from hrpose_rt.bench.flops import count_flops

    runtime, spec, _ = open_by_name(name, task, settings)
    try:
        with console.status(f"measuring the peak of {runtime.name} in {runtime.precision}"):
            peak = _peak(runtime, settings)
        flops = count_flops(_fp32_graph(model, task), spec.input_hw)
    except BaseException:
        runtime.close()
        raise
    return RuntimeCandidate(runtime, spec.input_hw, flops, peak)


def _fp32_graph(model: Model, task: Task) -> Path:
    from hrpose_rt.open_model import ensure_engine
    from hrpose_rt.runtimes.selection import select_runtime

    ready = ensure_engine(model, task, select_runtime(True, "onnxruntime", "fp32"))
    assert ready.engine is not None
    return ready.engine


def _peak(opened: Runtime, settings: Settings) -> float:
    """The peak of the device with this runtime and precision; 0 if it cannot be measured."""
    from hrpose_rt.bench.flops import measure_cuda_peak, measure_peak
    from hrpose_rt.hardware import usable_cores
    from hrpose_rt.runtimes.ort import OnnxRuntime
    from hrpose_rt.runtimes.ov import OpenVinoRuntime

    threads = settings.threads or usable_cores()
    runtime, precision = opened.name, opened.precision
    int8 = precision == "int8"
    if opened.device.startswith("cuda"):
        return measure_cuda_peak(opened.device, precision)
    if opened.device != "cpu":
        return 0.0
    if runtime == "openvino":
        return measure_peak(lambda path: OpenVinoRuntime(path, precision, threads), int8)
    if runtime == "onnxruntime" and precision in ("fp32", "int8"):
        return measure_peak(lambda path: OnnxRuntime(path, threads), int8)
    return 0.0


def _gpus(candidates: list[RuntimeCandidate]) -> dict[str, dict[str, str]]:
    """What `nvidia-smi` says about the GPUs that were measured, by device."""
    devices = {c.runtime.device for c in candidates if c.runtime.device.startswith("cuda")}
    return {device: gpu_facts(gpu_number(device)) for device in sorted(devices)}


def _numbers(text: str) -> list[int]:
    if not all(part.strip().isdecimal() and int(part) for part in text.split(",")):
        raise BadInput(f"--batch {text} is no list of sizes: give numbers with commas, such as 1,8,32")
    return [int(part) for part in text.split(",")]


def _table(cells: list[EngineTiming]) -> Table:
    table = Table(
        "batch", "runtime", "precision", "p50 ms", "p95 ms", "a picture", "a second", "of the peak"
    )
    ordered = sorted(cells, key=lambda cell: cell.batch)
    for i, cell in enumerate(ordered):
        last = i + 1 == len(ordered) or ordered[i + 1].batch != cell.batch
        table.add_row(
            *(str(cell.batch), cell.runtime, cell.precision, f"{cell.p50_ms:.2f}", f"{cell.p95_ms:.2f}"),
            *(f"{cell.p50_ms / cell.batch:.2f}", f"{cell.a_second:.1f}"),
            f"{cell.peak_share:.0%}" if cell.peak_share else "",
            end_section=last,
        )
    return table
