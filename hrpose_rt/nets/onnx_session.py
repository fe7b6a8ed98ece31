"""Open an ONNX file with ONNX Runtime."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hrpose_rt.errors import BadInput, RuntimeMissing, install_hint, last_line


def load_onnxruntime() -> Any:
    """The library; raise RuntimeMissing if it is not installed."""
    try:
        import onnxruntime
    except ImportError as error:
        raise RuntimeMissing(f"ONNX Runtime does not load ({error}): {install_hint('onnx')}") from error
    return onnxruntime


def open_session(path: Path, providers: Sequence[Any], threads: int = 0) -> Any:
    """A session for the file; raise BadInput if it is no network.

    Args:
        path: The ONNX file.
        providers: Execution providers, the preferred one first.
        threads: Cores to use; 0 for all.
    """
    library = load_onnxruntime()
    options = library.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        return library.InferenceSession(path, options, providers=list(providers))
    except Exception as error:  # the library has many error classes for bad files
        raise BadInput(f"{path} is not a network that ONNX Runtime can read: {last_line(error)}") from error
