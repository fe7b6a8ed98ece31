"""ONNX graphs on disk: what they say of themselves, and how they are written."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from hrpose_rt.nets.spec import EngineSpec
from hrpose_rt.paths import atomic_write


def save_onnx(model: Any, path: Path, spec: EngineSpec) -> None:
    """Record the spec in a graph, check the graph, and write it atomically."""
    import onnx

    onnx.helper.set_model_props(
        model,
        {
            "model": spec.model,
            "task": spec.task,
            "inputs": " ".join(f"{h}x{w}" for h, w in spec.inputs_hw),
            "precision": spec.precision,
            "skeleton": spec.skeleton,
            "decode": spec.decode if spec.task == "pose" else "",
            "weights_sha256": spec.weights_sha256,
            "hrpose": version("hrpose-rt"),
        },
    )
    onnx.checker.check_model(model, full_check=True)
    with atomic_write(path) as file:
        onnx.save(model, file)


def strip(model: Any) -> None:
    """Remove what exporters record of their run: stack traces, and with them paths of a machine."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for tensor in graph.initializer:
        tensor.ClearField("metadata_props")
    graph.ClearField("value_info")
