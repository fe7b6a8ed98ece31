"""`TrtRuntime` alone: numbers, lifetimes, captures, and what it says when something fails."""

import gc
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch

from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.nets.spec import Build
from hrpose_rt.paths import cache_dir
from tests.gpu.conftest import POSE, Bench
from tests.gpu.library import Context
from tests.gpu.simulated import HAS_CUDA

pytestmark = [pytest.mark.gpu] if HAS_CUDA else []
simulated = pytest.mark.skipif(HAS_CUDA, reason="asks the simulated GPUs")
RTX = replace(POSE, format="tensorrt-rtx")


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 11])
def test_engine_infers_any_batch_size(n: int, bench: Bench) -> None:
    runtime = bench.open(batches=(1, 2, 4))
    bench.check(runtime.infer(bench.pictures(n)), bench.answers(bench.pictures(n)))
    answers = runtime.infer_device(bench.put(bench.pictures(n))).cpu().numpy()
    bench.check(answers, bench.answers(bench.pictures(n)))


def test_cuda_graph_replays_batch_jumps_without_new_context(bench: Bench) -> None:
    library = bench.library()
    runtime = bench.open(library=library)
    assert runtime.batches == (1, 2, 4, 8, 16, 32, 64) and library.contexts_made == 7
    before = library.enqueued
    for n in (1, 64, 2, 33):
        runtime.infer(bench.pictures(n))
    assert (library.contexts_made, library.enqueued) == (7, before)
    assert not bench.gpu.complaints  # of the order of calls, alignment, sizes of memory, the default stream


def test_cuda_graph_keeps_execution_context_alive(bench: Bench) -> None:
    runtime = bench.open(library=bench.library(keep_contexts=False), batches=(1, 2, 4))
    gc.collect()
    bench.check(runtime.infer(bench.pictures(4)), bench.answers(bench.pictures(4)))


def test_tensorrt_rtx_keeps_contexts_alive_without_cuda_graph(bench: Bench) -> None:
    runtime = bench.open(RTX, library=bench.library("1.7", keep_contexts=False), batches=(1, 2, 4))
    bench.check(runtime.infer(bench.pictures(4)), bench.answers(bench.pictures(4)))
    assert not bench.gpu.graphs  # it captures by itself


@pytest.mark.parametrize("how", ["close", "drop"])
def test_close_or_drop_waits_for_inference_in_flight(how: str, bench: Bench) -> None:
    runtime = bench.open(RTX, library=bench.library("1.7", keep_contexts=False))
    crops = bench.put(bench.pictures(8))
    torch.cuda.synchronize()
    kept = runtime.infer_device(crops)
    if how == "close":
        runtime.close()
    del runtime
    torch.cuda.synchronize()
    bench.check(kept.cpu().numpy(), bench.answers(bench.pictures(8)))


def test_infer_after_close_raises_run_broken(bench: Bench) -> None:
    runtime = bench.open()
    runtime.close()
    runtime.close()
    with pytest.raises(RunBroken, match=r"0\.engine was closed: open it again"):
        runtime.infer(bench.pictures(1))
    with pytest.raises(RunBroken, match="was closed"):
        runtime.infer_device(bench.put(bench.pictures(1)))


def test_process_exit_waits_for_gpu_before_freeing_context() -> None:
    code = """
import pathlib, tempfile, weakref
from tests.gpu.conftest import Bench
from tests.gpu.simulated import machine
with tempfile.TemporaryDirectory() as folder, machine() as gpu:
    bench = Bench(gpu, pathlib.Path(folder))
    runtime = bench.open(library=bench.library(keep_contexts=False), batches=(1,))
    wait = runtime._cuda.wait
    runtime._cuda.wait = lambda: (wait(), print("waited"))
    weakref.finalize(runtime._held[-1], print, "its context is gone").atexit = False
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.stdout.splitlines() == ["waited", "its context is gone"], done.stderr


def test_tensorrt_rtx_kernels_compile_eagerly_and_are_cached(bench: Bench) -> None:
    library = bench.library("1.7")
    runtime = bench.open(RTX, library=library, batches=(1, 2, 4))
    assert library.configs[0].dynamic_shapes_kernel_specialization_strategy == "EAGER"
    (cache,) = (cache_dir() / "rtx").iterdir()
    assert cache.name.startswith("0-1.7-") and cache.read_bytes() == b"kernels of 3 contexts"
    runtime.close()
    cache.write_bytes(b"of another driver")
    (cache_dir() / "rtx" / cache.name.replace("0-", "1-", 1)).write_bytes(b"of another driver")
    bench.open(RTX, library=library, batches=(1, 2))
    again = cache_dir() / "rtx" / cache.name.replace("0-", "1-", 1)
    assert again.read_bytes() == b"kernels of 2 contexts"  # what was refused is replaced


def test_tensorrt_rtx_unwritable_kernel_cache_is_ignored(bench: Bench) -> None:
    cache_dir().mkdir(parents=True)
    (cache_dir() / "rtx").write_text("in the way")
    runtime = bench.open(RTX, library=bench.library("1.7"), batches=(1, 2))
    bench.check(runtime.infer(bench.pictures(2)), bench.answers(bench.pictures(2)))


def test_engine_host_code_needs_version_compat_and_hash_match(bench: Bench) -> None:
    with pytest.raises(RunBroken, match=r"is refused by TensorRT 11\.4: export it again"):
        bench.open(host_code=True)
    options = {"version_compat": True, "hardware_compat": "ampere-plus"}
    spec = replace(POSE, build=Build("tensorrt", "11.2", options=options))
    runtime = bench.open(spec, host_code=True)
    bench.check(runtime.infer(bench.pictures(1)), bench.answers(bench.pictures(1)))
    with pytest.raises(BadInput, match="was changed or cut off"):
        bench.open(replace(spec, sha256="0" * 64), host_code=True)


def test_tensorrt_execute_or_profile_failure_raises_run_broken(bench: Bench) -> None:
    runtime = bench.open(RTX, library=bench.library("1.7"), batches=(1, 2))
    with (
        mock.patch.object(Context, "execute_async_v3", lambda self, stream: False),
        pytest.raises(RunBroken, match="could not compute a batch of 2"),
    ):
        runtime.infer(bench.pictures(2))
    with (
        mock.patch.object(Context, "set_input_shape", lambda self, name, shape: False),
        pytest.raises(RunBroken, match="refuses a batch of 1, for which the engine has a profile"),
    ):
        bench.open()


@pytest.mark.skipif(HAS_CUDA and torch.cuda.device_count() < 2, reason="one GPU is here")
def test_engine_on_second_gpu_matches_reference(bench: Bench) -> None:
    runtime = bench.open(device="cuda:1")
    bench.check(runtime.infer(bench.pictures(3)), bench.answers(bench.pictures(3)))


@pytest.mark.parametrize("capture", ["refuses", "empty"])
def test_cuda_graph_capture_failure_falls_back_to_plain_calls(capture: str, bench: Bench) -> None:
    caller = torch.cuda.current_stream().cuda_stream
    runtime = bench.open(library=bench.library(capture=capture))
    assert torch.cuda.current_stream().cuda_stream == caller
    runtime.infer(bench.pictures(3, 1))
    bench.check(runtime.infer(bench.pictures(3)), bench.answers(bench.pictures(3)))


@simulated
def test_cuda_graph_capture_mode_is_thread_local(bench: Bench) -> None:
    bench.open()
    assert set(bench.gpu.graphs) == {"thread_local"}


@simulated
@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "CUDA error: an illegal memory access was encountered",
            "cuda:0 failed and is lost to this process",
        ),
        ("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", "start it again"),
    ],
)
def test_cuda_error_raises_run_broken_and_close_still_works(said: str, words: str, bench: Bench) -> None:
    runtime = bench.open()
    bench.gpu.broken = said
    with pytest.raises(RunBroken, match=words):
        runtime.infer(bench.pictures(1))
    runtime.close()  # what is broken can still be put away


def test_engine_opened_in_one_thread_runs_in_another(bench: Bench) -> None:
    runtime, found = bench.open(), []
    thread = threading.Thread(target=lambda: found.append(runtime.infer(bench.pictures(3)).copy()))
    thread.start()
    thread.join()
    bench.check(found[0], bench.answers(bench.pictures(3)))


def test_engine_pinned_buffer_reuse_and_strided_input(bench: Bench) -> None:
    runtime = bench.open()
    for seed in range(4):
        bench.check(runtime.infer(bench.pictures(5, seed)), bench.answers(bench.pictures(5, seed)))
    strided = np.repeat(bench.pictures(2), 2, axis=2)[:, :, ::2]
    bench.check(runtime.infer(strided), bench.answers(bench.pictures(2)))
