"""Names -> networks: what is embedded, and what a path given in place of a name holds."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from hrpose_rt.errors import BadInput
from hrpose_rt.nets.weights import sha256
from hrpose_rt.runtimes.spec import EngineSpec, Task, spec_path

DEFAULT_POSE = "hrnet-w16-lite"
DEFAULT_DETECTOR = "yolo26n-person"
EMBEDDED: dict[str, Task] = {DEFAULT_POSE: "pose", DEFAULT_DETECTOR: "detection"}
CHECKPOINTS = (".pth", ".pt")


@dataclass(frozen=True, slots=True)
class Model:
    """A network that can be opened.

    Attributes:
        name: What the user called it.
        engine: Its ONNX file, with a spec beside it; None if only the checkpoint is there.
        checkpoint: Its PyTorch file; None if only the engine is there.
    """

    name: str
    engine: Path | None
    checkpoint: Path | None

    @property
    def spec(self) -> EngineSpec | None:
        """What the engine holds; or the checkpoint, where training left a spec of it beside it."""
        if self.engine:
            return EngineSpec.load(spec_path(self.engine))
        if self.checkpoint is None or not spec_path(self.checkpoint).is_file():
            return None
        spec = EngineSpec.load(spec_path(self.checkpoint))
        return spec if spec.weights_sha256 == sha256(self.checkpoint) else None


def find_model(name: str, task: Task) -> Model:
    """The embedded model of that name, or the file at that path.

    Raises:
        BadInput: There is no such name or file, or it does something else than `task`.
    """
    model = _find(name, task)
    if model.spec and model.spec.task != task:
        raise BadInput(f"{name} is a {model.spec.task} network, one for {task} is needed here")
    return model


def _find(name: str, task: Task) -> Model:
    if name in EMBEDDED:
        folder = models_folder()
        checkpoint = next(p for s in CHECKPOINTS if (p := folder / f"{name}{s}").is_file())
        return Model(name, folder / f"{name}.onnx", checkpoint)
    path = Path(name)
    if path.suffix not in (*CHECKPOINTS, ".onnx"):
        raise BadInput(
            f"there is no {task} model {name!r}: choose "
            f"{' or '.join(n for n, t in EMBEDDED.items() if t == task)}, or give the path of a .onnx or "
            f"{'.pth' if task == 'pose' else '.pt'} file"
        )
    if not path.is_file():
        raise BadInput(f"{path} does not exist: check the path")
    if path.suffix in CHECKPOINTS:
        return Model(path.stem, None, path)
    if not spec_path(path).is_file():
        raise BadInput(f"{path} has no {spec_path(path).name} beside it that says what it holds")
    return Model(path.stem, path, None)


def models_folder() -> Path:
    """Where the embedded models lie: inside the installed package, or in the checkout it runs from."""
    package = Path(str(files("hrpose_rt")))
    installed = package / "models"
    return installed if installed.is_dir() else package.parent / "models"
