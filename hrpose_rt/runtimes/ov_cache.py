"""Cache of compiled OpenVINO graphs: loading one takes a sixth of the time of compiling it.

OpenVINO's own `CACHE_DIR` saves less, because it reads and hashes the whole network to look up an entry.
"""

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

from hrpose_rt.errors import BadInput
from hrpose_rt.hardware import cpu_features, cpu_name
from hrpose_rt.paths import atomic_write, cache_dir

DIGEST_BYTES = 32  # length of the sha256 at the start of a file


def compiled_file(engine_sha256: str, shape: tuple[int, ...], hints: dict[str, str]) -> Path:
    """Path of the graph of an engine for one shape, this CPU and this version of OpenVINO.

    Raises:
        BadInput: This user has no cache folder.
    """
    import openvino

    key = [engine_sha256, shape, hints, openvino.get_version(), cpu_name(), cpu_features()]
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]
    return cache_dir() / "compiled" / f"{name}.blob"


def load_compiled(core: Any, file: Path, hints: dict[str, str]) -> Any | None:
    """Load a compiled graph from a file; None if it is missing, damaged, or refused by OpenVINO."""
    with suppress(OSError, RuntimeError):
        data = file.read_bytes()
        digest, blob = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
        if hashlib.sha256(blob).digest() == digest:
            return core.import_model(BytesIO(blob), "CPU", hints)
    return None


def save_compiled(compiled: Any, file: Path) -> None:
    """Save a compiled graph, if the folder can be written."""
    with suppress(OSError, RuntimeError):
        exported = compiled.export_model()
        blob = exported if isinstance(exported, bytes) else exported.getvalue()
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file, tag=f".{os.getpid()}") as partial:
            partial.write_bytes(hashlib.sha256(blob).digest() + blob)


def load_or_compile(
    core: Any, engine_sha256: str, shape: tuple[int, ...], hints: dict[str, str], compile: Callable[[], Any]
) -> Any:
    """Load the graph of an engine for one shape from the cache folder, or compile it and keep it."""
    try:
        file = compiled_file(engine_sha256, shape, hints)
    except BadInput:
        return compile()
    graph = load_compiled(core, file, hints)
    if graph is None:
        graph = compile()
        save_compiled(graph, file)
    return graph
