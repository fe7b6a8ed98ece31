"""Model repositories for the Triton Inference Server: an engine and the configuration of its model.

The configuration is Triton's message ModelConfig. Its parameter `hrpose_spec` holds the spec of the newest
version as JSON, from which clients know the network.
"""

import json
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hrpose_rt.errors import BadInput, RuntimeMissing, install_hint, last_line
from hrpose_rt.export import triton_backend
from hrpose_rt.export.request import ExportedEngine
from hrpose_rt.export.tensorrt import MAX_BATCH, profile_batches
from hrpose_rt.nets.spec import EngineSpec, Task, engine_files
from hrpose_rt.paths import atomic_write, file_lock, make_writable
from hrpose_rt.pose.decoding import keypoint_decoder
from hrpose_rt.runtimes.base import GPU_BATCHES
from hrpose_rt.runtimes.ov import openvino_core
from hrpose_rt.runtimes.triton import SPEC

CONFIG = "config.pbtxt"
CPU_PREFERRED = (4, 8)  # on a CPU, larger batches of crops are no cheaper per crop, see `pose.batching`


@dataclass(frozen=True, slots=True)
class Backend:
    """How a backend of Triton gets an engine.

    Attributes:
        format: The engine's format.
        file: Name of the file that the server loads.
        kind: The processors of its instances, as `KIND_` in a configuration.
    """

    format: str
    file: str
    kind: str


BACKENDS = {
    "onnxruntime": Backend("onnx", "model.onnx", "KIND_AUTO"),
    "openvino": Backend("openvino", "model.xml", "KIND_CPU"),
    "tensorrt": Backend("tensorrt", "model.plan", "KIND_GPU"),
    "python": Backend("openvino", "model.py", "KIND_CPU"),
}


@dataclass(frozen=True, slots=True)
class RepositoryModel:
    """A model in a repository.

    Attributes:
        folder: Its folder, with the configuration and a folder for each version.
        version: The version that holds the engine.
        added: Whether this call wrote the version; False if it existed.
    """

    folder: Path
    version: int
    added: bool


def find_backend(name: str) -> Backend:
    """The backend of that name, if `tritonclient`, which has the messages, is installed.

    Raises:
        BadInput: There is no such backend.
        RuntimeMissing: tritonclient is not installed.
    """
    if name not in BACKENDS:
        raise BadInput(f"there is no `backend` {name}: choose {', '.join(BACKENDS)}")
    try:
        import tritonclient.grpc  # noqa: F401
    except ImportError as error:
        raise RuntimeMissing(f"Triton needs tritonclient ({error}): {install_hint('triton')}") from error
    return BACKENDS[name]


def largest_batch(backend: str, task: Task) -> int:
    """The largest batch for a backend, unless the user sets one.

    Triton's OpenVINO backend computes the largest batch each time, however few images there are.
    """
    if backend == "openvino":
        return CPU_PREFERRED[-1] if task == "pose" else 1
    return MAX_BATCH[task]


def add_to_repository(
    exported: ExportedEngine, repository: Path, backend: str, max_batch: int, overwrite: bool = False
) -> RepositoryModel:
    """Put an engine into a model repository, under the name of its network.

    A model that is there gets the engine as its next version. Its configuration keeps what was changed by
    hand, and only tells the new spec. If the newest version holds the engine already, nothing is done.

    Args:
        exported: The engine, in the backend's format. TensorRT's is one for `TrtOptions.any_batch`.
        repository: Folder of the repository; it is made if needed.
        backend: One of `BACKENDS`.
        max_batch: The largest batch, in crops or images; 0 is the engine's or `largest_batch`.
        overwrite: Write the whole configuration again, and remove the older versions.

    Raises:
        BadInput: The batch is too large, or the model that is there has another backend, other tensors, or
            no spec.
        RuntimeMissing: tritonclient is not installed.
    """
    find_backend(backend)
    folder = repository / exported.spec.model.replace("/", "-")
    config = model_config(exported, folder.name, backend, max_batch)
    make_writable(repository, "choose another `output`")
    with file_lock(folder):
        folder.mkdir(exist_ok=True)
        older = sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal())
        version = max(older, default=0) + 1
        if older and not overwrite:
            old = _read_config(folder)
            if old.parameters[SPEC] == config.parameters[SPEC] and old.backend == backend:
                return RepositoryModel(folder, older[-1], added=False)
            config = _with_new_spec(old, config, folder)
        _add_version(folder, version, exported, config)
        for number in older if overwrite else ():
            shutil.rmtree(folder / str(number))
    return RepositoryModel(folder, version, added=True)


def model_config(exported: ExportedEngine, name: str, backend: str, max_batch: int) -> Any:
    """The configuration of a model, a `tritonclient.grpc.model_config_pb2.ModelConfig`.

    Args:
        exported: The engine.
        name: Its name on the server.
        backend: One of `BACKENDS`.
        max_batch: The largest batch, in crops or images; 0 is the engine's or `largest_batch`.
    """
    from tritonclient.grpc.model_config_pb2 import TYPE_UINT8, ModelConfig

    spec, about = exported.spec, find_backend(backend)
    max_batch = max_batch or spec.max_batch or largest_batch(backend, spec.task)
    if max_batch < 1 or (spec.max_batch and max_batch > spec.max_batch):
        most = f"1 to {spec.max_batch}" if spec.max_batch else "1 or more"
        raise BadInput(f"`max_batch` is {max_batch}: {exported.path.name} takes batches of {most}")
    config = ModelConfig(name=name, backend=backend, max_batch_size=max_batch)
    config.default_model_filename = about.file
    config.version_policy.latest.num_versions = 1
    (source, source_dims), (target, target_dims) = _tensors(exported.path, spec)
    config.input.add(name=source, data_type="TYPE_UINT8", dims=source_dims)
    config.output.add(name=target, data_type="TYPE_FP32", dims=target_dims)
    group = config.instance_group.add(count=1, kind=about.kind)
    if spec.format == "tensorrt":  # else the server takes the first alone, for batches of 1
        group.profile.extend(map(str, range(len(profile_batches(spec.max_batch)))))
    preferred = _preferred(spec, about, max_batch)
    config.dynamic_batching.preferred_batch_size.extend(preferred)
    for h, w in spec.inputs_hw:
        for batch in sorted({1, *preferred}):
            warmup = config.model_warmup.add(name=f"{batch} of {h}x{w}", batch_size=batch)
            tensor = warmup.inputs[source]
            tensor.data_type, tensor.zero_data = TYPE_UINT8, True
            tensor.dims.extend((h, w, 3))
    if backend == "openvino":  # it computes the largest batch each time, and refuses smaller ones otherwise
        config.parameters["ENABLE_BATCH_PADDING"].string_value = "YES"
    told = replace(spec, skeleton=Path(spec.skeleton).name)  # a file stays with the client
    config.parameters[SPEC].string_value = json.dumps(told.to_dict())
    return config


def _preferred(spec: EngineSpec, backend: Backend, max_batch: int) -> tuple[int, ...]:
    """The batch sizes that the server should form; images of a detector cost the same in any batch."""
    if spec.task == "detection":
        return ()
    sizes = CPU_PREFERRED if backend.kind == "KIND_CPU" else GPU_BATCHES
    return tuple(size for size in sizes if 1 < size <= max_batch)


def _tensors(engine: Path, spec: EngineSpec) -> list[tuple[str, list[int]]]:
    """Name and shape of input and output, without the batch; -1 where a side is free."""
    if spec.format == "tensorrt":  # named as in the graph it was built from
        source = [*spec.input_hw, 3]
        if spec.task == "pose":
            return [("crops", source), ("heatmaps", list(keypoint_decoder(spec).output_shape))]
        return [("image", source), ("boxes", [-1, -1])]
    graph = openvino_core().read_model(engine)
    shapes = []
    for tensor in (graph.input(0), graph.output(0)):
        sides = [-1 if side.is_dynamic else side.get_length() for side in tensor.partial_shape]
        shapes.append((tensor.any_name, sides[1:]))
    return shapes


def _read_config(folder: Path) -> Any:
    """The configuration of a model that is in the repository."""
    from google.protobuf import text_format
    from tritonclient.grpc.model_config_pb2 import ModelConfig

    path = folder / CONFIG
    try:
        config = text_format.Parse(path.read_text(encoding="utf-8"), ModelConfig())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise BadInput(
            f"{path} cannot be read ({last_line(error)}): repair it, or add `overwrite` to write it again"
        ) from error
    if SPEC not in config.parameters:
        raise BadInput(f"{folder} holds a model of another program: choose another `output`")
    return config


def _with_new_spec(old: Any, new: Any, folder: Path) -> Any:
    """The old configuration with the spec of the new one."""
    for field in ("backend", "input", "output"):
        if getattr(old, field) != getattr(new, field):
            raise BadInput(
                f"{folder} has another {field} than this engine: choose another `output`, or add "
                "`overwrite`"
            )
    old.parameters[SPEC].CopyFrom(new.parameters[SPEC])
    return old


def _add_version(folder: Path, version: int, exported: ExportedEngine, config: Any) -> None:
    """Write a version, which appears complete. A server takes no folder in a model's for one."""
    from google.protobuf import text_format

    with tempfile.TemporaryDirectory(prefix=".building-", dir=folder) as building:
        new = Path(building) / str(version)
        new.mkdir()
        for file in engine_files(exported.path):
            suffix = ".plan" if config.backend == "tensorrt" else file.suffix
            shutil.copyfile(file, new / f"model{suffix}")
        if config.backend == "python":
            shutil.copyfile(triton_backend.__file__, new / BACKENDS["python"].file)
        with atomic_write(folder / CONFIG) as file:
            file.write_text(text_format.MessageToString(config, as_utf8=True), encoding="utf-8")
        new.replace(folder / str(version))
