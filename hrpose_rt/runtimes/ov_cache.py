"""Compiled OpenVINO graphs in the cache folder: loading one takes a sixth of the time of compiling it.

OpenVINO's own `CACHE_DIR` saves less: it reads and hashes the whole network to find out what it has.
"""

import hashlib
import json
import os
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

from hrpose_rt.errors import BadInput
from hrpose_rt.hardware import cpu_features, cpu_name
from hrpose_rt.paths import atomic_write, cache_dir

DIGEST_BYTES = 32  # of the sha256 that a file begins with


def compiled_file(engine_sha256: str, shape: tuple[int, ...], hints: dict[str, str]) -> Path:
    """Where the graph of an engine for one shape is kept, for this CPU and this version of OpenVINO.

    Raises:
        BadInput: This user has no cache folder.
    """
    import openvino

    key = [engine_sha256, shape, hints, openvino.get_version(), cpu_name(), cpu_features()]
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]
    return cache_dir() / "compiled" / f"{name}.blob"


def load_compiled(core: Any, file: Path, hints: dict[str, str]) -> Any | None:
    """The compiled graph in a file; None if it is not there, damaged, or refused by OpenVINO."""
    with suppress(OSError, RuntimeError):
        data = file.read_bytes()
        digest, blob = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
        if hashlib.sha256(blob).digest() == digest:
            return core.import_model(BytesIO(blob), "CPU", hints)
    return None


def save_compiled(compiled: Any, file: Path) -> None:
    """Keep a compiled graph, if the folder can be written."""
    with suppress(OSError, RuntimeError):
        exported = compiled.export_model()
        blob = exported if isinstance(exported, bytes) else exported.getvalue()
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file, tag=f".{os.getpid()}") as partial:
            partial.write_bytes(hashlib.sha256(blob).digest() + blob)


def compile_cached(
    core: Any, model: Any, engine_sha256: str, shape: tuple[int, ...], hints: dict[str, str]
) -> Any:
    """The model compiled for one shape on the CPU, from the cache folder if it was before."""
    try:
        file = compiled_file(engine_sha256, shape, hints)
    except BadInput:
        file = None
    compiled = load_compiled(core, file, hints) if file else None
    if compiled is None:
        model.reshape(list(shape))
        compiled = core.compile_model(model, "CPU", hints)
        if file:
            save_compiled(compiled, file)
    return compiled
