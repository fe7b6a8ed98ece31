"""Networks -> ONNX graphs: fp32 first, then the other precisions from it."""

import shutil
from collections.abc import Callable
from pathlib import Path

from hrpose_rt.errors import BadInput
from hrpose_rt.export.parity import Parity
from hrpose_rt.nets.spec import EngineSpec
from hrpose_rt.nets.zoo import Model
from hrpose_rt.types import U8

ProgressCallback = Callable[[str], None]


def write_fp32_graph(model: Model, spec: EngineSpec, path: Path, free_hw: bool) -> dict[str, int]:
    """Write the fp32 graph of a model: traced from its checkpoint, or made of its ONNX file.

    Args:
        model: A model with a checkpoint or an fp32 graph.
        spec: Spec of the graph.
        path: The file to write.
        free_hw: For detectors: leave height and width open.

    Returns:
        Number of layers by precision.
    """
    import onnx

    from hrpose_rt.export.half import layers_by_precision
    from hrpose_rt.export.onnx_file import save_onnx
    from hrpose_rt.export.onnx_wrap import wrap

    if model.checkpoint is None:
        own, kind = model.spec, ("format", "precision", "inputs_hw")
        if not (model.engine and own and all(getattr(own, f) == getattr(spec, f) for f in kind)):
            raise model.no_checkpoint()
        shutil.copyfile(model.engine, path)
    elif model.is_onnx:
        save_onnx(wrap(model.weights(), spec), path, spec)
    else:
        _trace(model, spec, path, free_hw)
    return layers_by_precision(onnx.load(path))


def _trace(model: Model, spec: EngineSpec, path: Path, free_hw: bool) -> None:
    from hrpose_rt.export.torch_onnx import export_onnx
    from hrpose_rt.nets.checkpoints import load_hrnet
    from hrpose_rt.nets.preprocessing import hrnet_on_crops
    from hrpose_rt.nets.yolo import load_yolo

    if spec.task == "pose":
        export_onnx(hrnet_on_crops(load_hrnet(model.weights())[0]), path, spec)
    else:
        export_onnx(load_yolo(model.weights(), model.classic_head, fixed=not free_hw), path, spec, free_hw)


def write_16_bit_graph(fp32_graph: Path, spec: EngineSpec, path: Path) -> dict[str, int]:
    """Write a graph in the spec's precision, fp16 or bf16; returns the number of layers by precision."""
    import onnx

    from hrpose_rt.export.half import layers_by_precision, to_16_bits
    from hrpose_rt.export.onnx_file import save_onnx

    graph = to_16_bits(onnx.load(fp32_graph), spec.precision)
    save_onnx(graph, path, spec)
    return layers_by_precision(graph)


def write_int8_graph(
    fp32_graph: Path,
    spec: EngineSpec,
    path: Path,
    batches: list[U8],
    compare: Callable[[], Parity | str],
    progress: ProgressCallback,
) -> tuple[dict[str, int], Parity | str]:
    """Write a graph in int8. If it is too far from fp32, its first and last layers stay in fp32.

    Args:
        fp32_graph: The graph to quantize.
        spec: Spec of the int8 graph.
        path: The file to write.
        batches: Inputs on which the ranges of the tensors are measured.
        compare: Compares the graph at `path` with fp32, or gives the reason why that is impossible.
        progress: Called with the current step.

    Returns:
        Number of layers by precision, and the last result of `compare`.
    """
    import onnx

    from hrpose_rt.export.half import layers_by_precision
    from hrpose_rt.export.onnx_file import save_onnx
    from hrpose_rt.export.onnx_wrap import MIN_OPSET
    from hrpose_rt.export.quantize import first_and_last, to_int8

    source = onnx.load(fp32_graph)
    if (opset := source.opset_import[0].version) < MIN_OPSET:
        raise BadInput(
            f"{spec.model} has opset {opset}, and int8 needs {MIN_OPSET}: give a newer ONNX file"
        )
    for sensitive in ([], first_and_last(source)):
        progress(f"measuring ranges on {len(batches)} pictures")
        graph = to_int8(source, batches, keep=sensitive)
        save_onnx(graph, path, spec)
        compared = compare()
        if isinstance(compared, str) or not compared.violations:
            break
    return layers_by_precision(graph), compared


def write_signed_graph(int8_graph: Path, path: Path) -> Path:
    """Write an int8 graph as TensorRT needs it, and return `path`."""
    import onnx

    from hrpose_rt.export.quantize import make_signed

    graph = onnx.load(int8_graph)
    make_signed(graph)
    onnx.save(graph, path)
    return path
