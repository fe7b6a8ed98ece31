"""The builder, around libraries that are fakes, and around the one that builds without a GPU."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.export import tensorrt
from hrpose_rt.export.tensorrt import TrtOptions, build_engine, check_options, profile_batches, rtx_archs
from hrpose_rt.hardware import Gpu
from hrpose_rt.nets.spec import RTX_ARCHS
from tests.fakes_trt import SHAPE, FakeTrt

ADA, TURING = Gpu("RTX 4090", "sm89", "570.1"), Gpu("T4", "sm75", "570.1")


@pytest.fixture
def build(monkeypatch, tmp_path):
    """Build with a fake library on a fake GPU."""
    monkeypatch.setenv("HRPOSE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tensorrt, "nvidia_gpus", lambda: [ADA])

    def call(library: FakeTrt, format: str = "tensorrt", **options):
        monkeypatch.setattr(tensorrt, "load_tensorrt", lambda format: library)
        messages: list[str] = []
        how = TrtOptions(**options).for_task("pose")
        built = build_engine(tmp_path / "m.onnx", tmp_path / "m.engine", format, how, messages.append)
        return built, messages

    return call


@pytest.mark.parametrize(("version", "flags"), [("10.9.0", 1 << 3), ("11.4", 0)])
def test_tensorrt_strongly_typed_flag_and_profiles_by_version(version, flags, build, tmp_path) -> None:
    library = FakeTrt(version)
    (built, layers), messages = build(library, max_batch=5, workspace_mib=10)
    assert library.requests["flags"] == flags
    assert library.requests["workspace"] == 10 * 2**20
    assert [best[0] for _, best, _ in library.requests["profiles"]] == [1, 2, 4, 8]
    assert all(low == best == high for low, best, high in library.requests["profiles"])
    assert library.requests["profiles"][0][1] == (1, *SHAPE)
    assert (built.library, built.version, built.archs) == ("tensorrt", version, ("sm89",))
    assert (built.gpu, built.driver) == ("RTX 4090", "570.1")
    assert layers == {"fp16": 1}
    assert library.requests["tf32"] is False
    assert messages == ["Building, 3 steps"]
    assert (tmp_path / "m.engine").read_bytes() == b"an engine"


def test_tensorrt_profiles_cover_every_batch_size_for_a_server(build) -> None:
    library = FakeTrt()
    (built, _), _ = build(library, max_batch=9, any_batch=True)
    ranges = [(low[0], best[0], high[0]) for low, best, high in library.requests["profiles"]]
    assert ranges == [(1, 1, 1), (2, 2, 2), (3, 4, 4), (5, 8, 8), (9, 12, 12)]
    assert built.options["any_batch"] is True


def test_tensorrt_timing_cache_is_reused_by_next_build(build, tmp_path) -> None:
    first, second = FakeTrt(), FakeTrt()
    build(first)
    build(second)
    assert (first.requests["known"], second.requests["known"]) == (b"", b"timings")


def test_tensorrt_hardware_and_version_compat_flags_are_set(build) -> None:
    library = FakeTrt()
    (built, _), _ = build(library, hardware_compat="same-cc", version_compat=True)
    assert library.requests["hardware_compatibility_level"] == "same"
    assert library.requests["version-compatible"]
    assert built.options["hardware_compat"] == "same-cc"
    with pytest.raises(BadInput, match=r"TensorRT 10\.8\.0 has no `hardware_compat` same-cc: install"):
        build(FakeTrt("10.8.0"), hardware_compat="same-cc")


def test_tensorrt_parser_error_names_onnx_node(build) -> None:
    error = SimpleNamespace(
        desc=lambda: "no such thing", node_name=lambda: "n7", node_operator=lambda: "Foo"
    )
    with pytest.raises(
        BadInput, match=r"m\.onnx is not taken by the parser: no such thing at node n7 \(Foo\)"
    ):
        build(FakeTrt(errors=(error,)))


def test_tensorrt_uint8_zero_point_warning_raises_bad_input(build, tmp_path) -> None:
    warning = "QuantizeLinear with UINT8 zero_point only on DLA. Defaulting to INT8 instead."
    with pytest.raises(
        BadInput, match="would be computed otherwise than it says: QuantizeLinear with UINT8"
    ):
        build(FakeTrt(warnings=("harmless", warning)))
    assert not (tmp_path / "m.engine").exists()


def test_tensorrt_build_failure_raises_with_library_message(build, tmp_path) -> None:
    with pytest.raises(RunBroken, match=r"tensorrt built nothing of .*m\.onnx: no memory"):
        build(FakeTrt(builds=False))
    assert not (tmp_path / "m.engine").exists()


@pytest.mark.parametrize(
    ("format", "precision", "options", "gpus", "words"),
    [
        ("tensorrt", "fp16", {}, [], "TensorRT builds on the GPU that it will run on, and there is none"),
        ("tensorrt", "fp16", {"archs": ("sm89",)}, [ADA], "`archs` is for `format` tensorrt-rtx"),
        ("tensorrt", "fp16", {"hardware_compat": "all"}, [ADA], "no `hardware_compat` all: choose none,"),
        ("tensorrt-rtx", "fp16", {"archs": ("sm90",)}, [], "does not build for sm90: choose of sm75, sm80"),
        (
            "tensorrt-rtx",
            "int8",
            {"archs": ("sm75",)},
            [],
            r"Turing \(sm75\) has no int8 in TensorRT for RTX",
        ),
        ("tensorrt-rtx", "bf16", {}, [TURING], "no bf16 .* there, or name another GPU with `archs`"),
        (
            "tensorrt-rtx",
            "fp16",
            {"version_compat": True},
            [],
            "are TensorRT's: its RTX form has `archs`",
        ),
        ("tensorrt-rtx", "fp16", {"max_batch": 65}, [], "a batch of 65 cannot be built: 1 to 64 can"),
    ],
)
def test_tensorrt_invalid_build_options_raise_bad_input(format, precision, options, gpus, words) -> None:
    with pytest.raises(BadInput, match=words):
        check_options(format, precision, TrtOptions(**options).for_task("pose"), gpus)


def test_tensorrt_rtx_archs_include_turing_only_if_present() -> None:
    assert rtx_archs(TrtOptions(), []) == rtx_archs(TrtOptions(), [ADA]) == RTX_ARCHS[1:]
    assert rtx_archs(TrtOptions(), [ADA, TURING]) == RTX_ARCHS
    assert rtx_archs(TrtOptions(("sm89",)), [TURING]) == ("sm89",)


def test_tensorrt_builds_on_selected_gpu(monkeypatch, tmp_path) -> None:
    current: list[int] = []
    monkeypatch.setattr(tensorrt, "nvidia_gpus", lambda: [ADA, TURING])
    monkeypatch.setattr(tensorrt, "load_tensorrt", lambda format: FakeTrt())
    monkeypatch.setenv("HRPOSE_HOME", str(tmp_path))
    monkeypatch.setattr("torch.cuda.device", lambda number: current.append(number) or nullcontext())
    how = TrtOptions(max_batch=1)
    built, _ = build_engine(
        *(tmp_path / "m.onnx", tmp_path / "m.engine", "tensorrt", how, lambda step: None), number=1
    )
    assert (built.gpu, built.archs, current) == ("T4", ("sm75",), [1])


def test_tensorrt_profiles_reach_max_batch_of_task() -> None:
    assert profile_batches(1) == (1,)
    assert profile_batches(9) == (1, 2, 4, 8, 12)
    assert profile_batches(TrtOptions().for_task("pose").max_batch) == (1, 2, 4, 8, 12, 16, 24, 32, 48, 64)
    assert profile_batches(TrtOptions().for_task("detection").max_batch) == (1, 2, 4, 8, 12, 16)
    assert TrtOptions(max_batch=20).for_task("detection").max_batch == 20


def test_tensorrt_rtx_rejects_int8_graph_with_uint8_zero_point(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    import numpy as np
    import onnx

    from tests.export.test_half import quantised

    onnx.save(quantised(np.uint8, 0.1), tmp_path / "trap.onnx")
    with pytest.raises(BadInput, match=r"would be computed otherwise than it says: .*UINT8"):
        build_engine(tmp_path / "trap.onnx", tmp_path / "m.engine", "tensorrt-rtx", TrtOptions(), print)
