"""The TensorRT runtime around a library and a GPU that are fakes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hrpose_rt.errors import BadInput, RunBroken, RuntimeMissing
from hrpose_rt.machine import Gpu
from hrpose_rt.runtimes.spec import Build, EngineSpec
from hrpose_rt.runtimes.trt import TorchCuda, TrtRuntime
from hrpose_rt.runtimes.trt_library import what_differs
from tests.fakes_trt import SHAPE, FakeCuda, FakeEngine, FakeTrt

BUILD = Build("tensorrt", "10.9.0", ("sm89",), "RTX 4090", "570.1", {"hardware_compat": "none"})
SPEC = EngineSpec("m", "pose", (SHAPE[:2],), "fp16", "", format="tensorrt", build=BUILD)


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    path = tmp_path / "m.engine"
    path.write_bytes(b"an engine")
    return path


def pictures(n: int) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (n, *SHAPE), np.uint8)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 11])
def test_any_number_of_pictures_is_answered(n: int, engine) -> None:
    runtime = TrtRuntime(engine, SPEC, library=FakeTrt(engine=FakeEngine()), cuda=FakeCuda())
    batch = pictures(n)
    wanted = batch.reshape(n, -1).mean(axis=1)
    np.testing.assert_allclose(runtime.infer(batch)[:, 0], wanted, rtol=1e-6)
    if n <= 4:
        answers = runtime.infer_device(torch.from_numpy(batch)).numpy()
        np.testing.assert_allclose(answers[:, 0], wanted, rtol=1e-6)


def test_a_jump_in_people_allocates_and_captures_nothing(engine) -> None:
    fake, cuda = FakeEngine(), FakeCuda()
    runtime = TrtRuntime(engine, SPEC, library=FakeTrt(engine=fake), cuda=cuda)
    assert runtime.batches == (1, 2, 4)
    assert (len(fake.contexts), cuda.captured) == (3, 3)
    assert fake.runs == [1, 2, 4]  # each once before its capture
    for n in (1, 4, 3, 2, 1, 4):
        runtime.infer(pictures(n))
    assert (len(fake.contexts), cuda.captured, cuda.replayed) == (3, 3, 6)
    assert fake.runs[3:] == [1, 4, 4, 2, 1, 4]  # three take the place of four
    # All share one working memory, as large as the largest asks for.
    assert len(set(fake.memories)) == 1 and fake.memories[0][1] == 400


def test_the_profile_is_set_before_what_it_bounds(engine) -> None:
    fake = FakeEngine()
    TrtRuntime(engine, SPEC, library=FakeTrt(engine=fake), cuda=FakeCuda())
    assert all(context.calls[:2] == ["profile", "shape"] for context in fake.contexts)


def test_what_cannot_be_captured_is_called(engine) -> None:
    fake, cuda = FakeEngine(), FakeCuda(captures=False)
    runtime = TrtRuntime(engine, SPEC, library=FakeTrt(engine=fake), cuda=cuda)
    assert len(runtime.infer(pictures(3))) == 3
    assert cuda.replayed == 0 and fake.runs[-1] == 4


def test_the_rtx_form_captures_by_itself_and_keeps_what_it_compiled(engine, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HRPOSE_HOME", str(tmp_path / "home"))
    fake, cuda = FakeEngine(), FakeCuda()
    build = replace(BUILD, library="tensorrt-rtx", version="1.7")
    spec = replace(SPEC, format="tensorrt-rtx", build=build)
    runtime = TrtRuntime(engine, spec, library=FakeTrt("1.7", engine=fake), cuda=cuda)
    assert fake.config.cuda_graph_strategy == "whole" and cuda.captured == 0
    assert len(runtime.infer(pictures(2))) == 2
    runtime.close()
    assert (tmp_path / "home" / "rtx" / "m-1.7.cache").read_bytes() == b"compiled"


def test_what_the_library_refuses_is_said(engine) -> None:
    with pytest.raises(RunBroken, match=r"m\.engine is refused by TensorRT 10\.9\.0: export it again"):
        TrtRuntime(engine, SPEC, library=FakeTrt(engine=None), cuda=FakeCuda())
    fake = FakeEngine()
    fake.refuses = True
    with pytest.raises(RunBroken, match="refuses a batch of 1, for which the engine has a profile"):
        TrtRuntime(engine, SPEC, library=FakeTrt(engine=fake), cuda=FakeCuda())
    fake = FakeEngine()
    runtime = TrtRuntime(engine, SPEC, library=FakeTrt(engine=fake), cuda=FakeCuda())
    fake.breaks = True
    with pytest.raises(RunBroken, match="could not compute a batch of 2"):
        runtime.infer(pictures(2))


def test_another_version_is_refused_by_name_with_the_command(engine) -> None:
    with pytest.raises(
        BadInput, match=r"built for TensorRT 10\.9\.0, found 11\.4: hrpose-rt export m --form"
    ):
        TrtRuntime(engine, SPEC, library=FakeTrt("11.4", engine=FakeEngine()), cuda=FakeCuda())


ADA, ADA2, HOPPER, TURING = (
    Gpu("RTX 4090", "sm89", "570"),
    Gpu("L4", "sm89", "570"),
    Gpu("H100", "sm90", "570"),
    Gpu("T4", "sm75", "570"),
)


@pytest.mark.parametrize(
    ("options", "gpu", "words"),
    [
        ({"hardware_compat": "none"}, ADA, ""),
        ({"hardware_compat": "none"}, ADA2, "built on RTX 4090, found L4"),
        ({"hardware_compat": "same-cc"}, ADA2, ""),
        ({"hardware_compat": "same-cc"}, HOPPER, "built for sm89, found sm90"),
        ({"hardware_compat": "ampere-plus"}, HOPPER, ""),
        ({"hardware_compat": "ampere-plus"}, TURING, "built for Ampere and later, found sm75"),
    ],
)
def test_an_engine_runs_on_what_it_was_built_for(options, gpu, words) -> None:
    assert what_differs(replace(BUILD, options=options), "tensorrt", "10.9.0", [gpu]) == words


def test_the_rtx_form_runs_on_the_architectures_it_was_built_for() -> None:
    build = replace(BUILD, library="tensorrt-rtx", archs=("sm86", "sm89"), gpu="")
    assert what_differs(build, "tensorrt-rtx", "10.9.0", [ADA]) == ""
    assert what_differs(build, "tensorrt-rtx", "10.9.0", [TURING]) == "built for sm86, sm89, found sm75"


def test_later_versions_read_what_was_built_for_them() -> None:
    build = replace(BUILD, options={"version_compat": True, "hardware_compat": "none"})
    assert what_differs(build, "tensorrt", "11.4", [ADA]) == ""
    assert what_differs(build, "tensorrt", "10.1", [ADA]) == "built for TensorRT 10.9.0, found 10.1"


def test_without_a_gpu_there_is_a_sentence() -> None:
    if torch.cuda.is_available():
        pytest.skip("CUDA is here")
    with pytest.raises(
        RuntimeMissing, match=r"sees no CUDA devices, cuda was asked for: check that nvidia-smi"
    ):
        TorchCuda("cuda")
