"""Models -> engines on disk: built, compared with fp32, written atomically, and reused on later calls."""

import tempfile
from dataclasses import asdict, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

from hrpose_rt.errors import BadInput, RuntimeMissing, install_hint
from hrpose_rt.export import verify
from hrpose_rt.export.examples import footage_hash
from hrpose_rt.export.graphs import (
    write_16_bit_graph,
    write_fp32_graph,
    write_int8_graph,
    write_signed_graph,
)
from hrpose_rt.export.parity import Parity
from hrpose_rt.export.request import PRECISIONS_OF_FORMAT, ExportedEngine, ExportRequest
from hrpose_rt.export.tensorrt import ProgressCallback, TrtOptions, build_engine, check_options
from hrpose_rt.hardware import nvidia_gpus, usable_cores
from hrpose_rt.nets.hrnet_config import heatmap_size
from hrpose_rt.nets.spec import FORMATS, Build, EngineSpec, Task, engine_files, engine_sha256, spec_path
from hrpose_rt.nets.zoo import Model, spec_of_checkpoint
from hrpose_rt.paths import SET_CACHE, engines_folder, file_lock, make_writable
from hrpose_rt.runtimes.ov import openvino_core
from hrpose_rt.runtimes.selection import gpu_number
from hrpose_rt.runtimes.trt_compat import incompatibility, load_tensorrt


def export(
    model: Model, task: Task, request: ExportRequest, progress: ProgressCallback = lambda step: None
) -> ExportedEngine:
    """Build an engine, or return the existing one.

    Args:
        model: From `zoo.find_model`.
        task: The model's task.
        request: The engine to build.
        progress: Called with the current step.

    Raises:
        BadInput: It cannot be built from this model, or not on this machine.
        RunBroken: It differs from fp32 by more than its precision allows; it was not kept.
        RuntimeMissing: A library is not installed.
    """
    if request.format in ("tensorrt", "tensorrt-rtx"):
        request = replace(request, trt=request.trt.for_task(task))
        check_options(request.format, request.precision, request.trt, nvidia_gpus())
    needed = ("onnx",) if model.is_onnx or model.checkpoint is None else ("torch", "onnx")
    if missing := [name for name in needed if find_spec(name) is None]:
        raise RuntimeMissing(f"exporting needs {' and '.join(missing)}: {install_hint('export')}")
    folder = request.folder or engines_folder()
    make_writable(folder, "choose another `folder`" if request.folder else SET_CACHE)
    return _Export(model, task, request, folder, progress).run()


class _Export:
    """Exports one engine: spec, graph, engine, comparison. Graphs to build from are exported likewise."""

    def __init__(
        self, model: Model, task: Task, request: ExportRequest, folder: Path, progress: ProgressCallback
    ) -> None:
        self._model, self._task, self._request = model, task, request
        self._folder, self._progress = folder, progress
        base = model.spec or spec_of_checkpoint(model, task)
        hw = request.input_hw or base.input_hw
        heatmap_hw = heatmap_size(hw) if task == "pose" and not model.is_onnx else base.heatmap_hw
        self._calibration_set = verify.CalibrationSet(task, hw, request.calibration)
        self._free_hw = request.free_hw and task == "detection"
        self._int8_parity: Parity | str | None = None  # result for the int8 graph that was written last
        self._fixed = EngineSpec(
            model=model.name,
            task=task,
            inputs_hw=base.inputs_hw if self._free_hw else (hw,),
            precision="fp32",
            weights_sha256=base.weights_sha256,
            skeleton=base.skeleton,
            heatmap_hw=heatmap_hw,
            decode=base.decode,
            part_ankles=base.part_ankles,
            calibration=footage_hash(request.calibration) if request.precision == "int8" else "",
            normalization=base.normalization,
            max_batch=base.max_batch,
        )

    def run(self) -> ExportedEngine:
        request = self._request
        path = self._folder / self._name()
        with file_lock(path, self._progress):
            if not request.rebuild and (spec := self._cached(path)):
                fixed = self._fixed  # decoding settings: they may change without a rebuild
                if (spec.decode, spec.part_ankles) != (fixed.decode, fixed.part_ankles):
                    spec = replace(spec, decode=fixed.decode, part_ankles=fixed.part_ankles)
                    spec.save(spec_path(path))
                return ExportedEngine(path, self._verify_pending(path, spec), built=False)
            with tempfile.TemporaryDirectory(prefix=".building-", dir=self._folder) as build_folder:
                building = Path(build_folder) / path.name
                spec = self._build(building)
                spec = replace(spec, parity=self._parity(building, spec))
                spec_path(path).unlink(missing_ok=True)  # nothing opens until the new spec is written
                for file in engine_files(building):
                    file.replace(self._folder / file.name)
                spec.save(spec_path(path))
        return ExportedEngine(path, spec, built=True)

    def _verify_pending(self, path: Path, spec: EngineSpec) -> EngineSpec:
        """The spec, compared with fp32 now if the engine was built without a GPU and there is one."""
        if spec.parity.get("status") != verify.NO_GPU or not (self._request.verify and nvidia_gpus()):
            return spec
        spec = replace(spec, parity=self._parity(path, spec))
        spec.save(spec_path(path))
        return spec

    def _parity(self, building: Path, spec: EngineSpec) -> dict[str, Any]:
        if not self._request.verify:
            return {"status": verify.NOT_ASKED}
        self._progress("comparing with fp32")
        # An int8 graph was compared when it was written.
        known = self._int8_parity if (spec.format, spec.precision) == ("onnx", "int8") else None
        return verify.verdict(spec, known or self._compared(building, spec), self._request.keep)

    def _compared(self, building: Path, spec: EngineSpec) -> Parity | str:
        from hrpose_rt.runtimes.ort import OnnxRuntime

        if spec.precision == "fp32" and spec.format == "onnx" and self._model.checkpoint:
            reference = verify.reference(self._model, self._fixed)
        else:
            reference = OnnxRuntime(self._graph(building.parent, "fp32")[0], usable_cores())
        try:
            return verify.compare(building, spec, reference, self._calibration_set, self._request.device)
        finally:
            reference.close()

    def _name(self) -> str:
        request, (h, w) = self._request, self._fixed.input_hw
        parts = [self._fixed.model.replace("/", "-")]
        if f"{h}x{w}" not in parts[0]:
            parts.append("any" if self._free_hw else f"{h}x{w}")
        parts += [request.precision, self._fixed.weights_sha256[:8]]
        if request.format != "onnx":
            parts += [request.format, *request.trt.archs, *["any-batch"] * request.trt.any_batch]
        return "-".join(parts) + FORMATS[request.format]

    def _cached(self, path: Path) -> EngineSpec | None:
        """The spec of an existing engine that fits the request; None if there is none."""
        try:
            spec = EngineSpec.load(spec_path(path))
            spec.check_hash(path)
        except BadInput:  # missing or changed
            return None
        kind = ("weights_sha256", "inputs_hw", "normalization")
        if any(getattr(spec, name) != getattr(self._fixed, name) for name in kind):
            return None
        if self._fixed.calibration not in ("", spec.calibration):
            return None
        if not self._request.format.startswith("tensorrt"):
            return spec
        in_name = {"archs": None, "any_batch": None}
        requested = asdict(self._request.trt) | in_name
        if spec.build is None or spec.build.options | in_name != requested:
            return None
        installed = load_tensorrt(spec.format).__version__
        number = gpu_number(self._request.device)
        return None if incompatibility(spec.build, spec.format, installed, number=number) else spec

    def _build(self, building: Path) -> EngineSpec:
        """Write the engine to `building`; returns its spec."""
        request, begin = self._request, perf_counter()
        if request.format == "onnx":
            layers = self._typed_graph(building, request.precision)
            build = Build("onnx", version("onnx"))
            onnx_sha256 = engine_sha256(building)
        else:
            # TensorRT computes in the graph's types. OpenVINO is asked for 16 bits when it opens an engine.
            typed = (
                request.precision if request.format != "openvino" or request.precision == "int8" else "fp32"
            )
            graph, layers = self._graph(building.parent, typed)
            onnx_sha256 = engine_sha256(graph)
            self._progress(f"building for {request.format}")
            if request.format == "openvino":
                build = _build_openvino(graph, building, request.precision)
                if request.precision in ("bf16", "fp16"):
                    layers = {request.precision: sum(layers.values())}
            else:
                if request.precision == "int8":
                    graph = write_signed_graph(graph, building.parent / "signed.onnx")
                build, layers = build_engine(
                    graph, building, request.format, request.trt, self._progress, gpu_number(request.device)
                )
        on_tensorrt = request.format.startswith("tensorrt")
        if not build.seconds:
            build = replace(build, seconds=round(perf_counter() - begin, 1))
        return replace(
            self._fixed,
            precision=request.precision,
            format=request.format,
            max_batch=request.trt.max_batch if on_tensorrt else self._fixed.max_batch,
            sha256=engine_sha256(building),
            onnx_sha256=onnx_sha256,
            build=build,
            layers=layers,
        )

    def _graph(self, folder: Path, precision: str) -> tuple[Path, dict[str, int]]:
        """A typed graph to build from, and its layers; ONNX precisions are kept beside the engines."""
        if precision in PRECISIONS_OF_FORMAT["onnx"]:
            request = replace(
                self._request, format="onnx", precision=precision, trt=TrtOptions(), verify=False
            )
            request = replace(request, verify=self._request.verify and precision == "int8", rebuild=False)
            result = _Export(self._model, self._task, request, self._folder, self._progress).run()
            return result.path, result.spec.layers
        graph = folder / f"{precision}.onnx"
        return graph, self._typed_graph(graph, precision)

    def _typed_graph(self, path: Path, precision: str) -> dict[str, int]:
        """Write the graph in `precision`; returns the number of layers by precision."""
        if precision == "fp32":
            self._progress("tracing the network")
            return write_fp32_graph(self._model, self._fixed, path, self._free_hw)
        spec = replace(self._fixed, precision=precision)
        fp32_graph, _ = self._graph(path.parent, "fp32")
        if precision != "int8":
            self._progress(f"typing the graph as {precision}")
            return write_16_bit_graph(fp32_graph, spec, path)
        batches = self._calibration_set.batches()
        layers, self._int8_parity = write_int8_graph(
            fp32_graph=fp32_graph,
            spec=spec,
            path=path,
            batches=batches,
            compare=lambda: self._compared(path, spec) if self._request.verify else verify.NOT_ASKED,
            progress=self._progress,
        )
        return layers


def _build_openvino(graph: Path, building: Path, precision: str) -> Build:
    model = openvino_core().read_model(graph)
    import openvino

    openvino.save_model(model, building, compress_to_fp16=precision == "fp16")
    return Build("openvino", openvino.__version__)
