"""Names and paths -> networks: embedded, downloadable, or in a file."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hrpose_rt.errors import BadInput, RunBroken, RuntimeMissing, install_hint
from hrpose_rt.nets.checkpoints import load_hrnet
from hrpose_rt.nets.download import BytesCallback, fetch, fetch_from_any
from hrpose_rt.nets.hrnet_config import heatmap_size
from hrpose_rt.nets.onnx_source import NO_HINTS, NetworkHints, describe
from hrpose_rt.nets.published import ALIASES, PUBLISHED, Published, read_name
from hrpose_rt.nets.published_onnx import PUBLISHED_ONNX, PublishedOnnx
from hrpose_rt.nets.spec import EngineSpec, Task, spec_path
from hrpose_rt.paths import fetched_folder, make_writable, models_folder, sha256

DEFAULT_POSE = "hrnet-w16-lite"
DEFAULT_DETECTOR = "yolo26n-person"
EMBEDDED: dict[str, Task] = {DEFAULT_POSE: "pose", DEFAULT_DETECTOR: "detection"}
CHECKPOINTS = (".pth", ".pt", ".safetensors")
_SUFFIXES: dict[Task, str] = {"pose": ".pth", "detection": ".pt"}
ENGINES = (".onnx", ".xml")  # .xml is OpenVINO's format
ULTRALYTICS = re.compile(r"yolo(v?\d+)[tnsmblx]$")  # detectors that the ultralytics package downloads
ULTRALYTICS_URL = "https://github.com/ultralytics/assets/releases/download/v8.4.0"


@dataclass(frozen=True, slots=True)
class Model:
    """A network to open.

    Attributes:
        name: The name the user gave.
        engine: Its ONNX or OpenVINO file, with a spec beside it; None if there is only a checkpoint.
        checkpoint: Its PyTorch file, or an ONNX file made elsewhere; None if there is only an engine, as in
            a wheel.
        spec: Its spec, if known.
    """

    name: str
    engine: Path | None
    checkpoint: Path | None
    spec: EngineSpec | None

    @property
    def is_onnx(self) -> bool:
        """Whether its checkpoint is an ONNX file made elsewhere, which PyTorch cannot run."""
        return self.checkpoint is not None and self.checkpoint.suffix == ".onnx"

    @property
    def classic_head(self) -> bool:
        """Whether to use the classic head although there is an NMS-free one.

        Of the embedded detector, only the classic head was trained to the end.
        """
        return self.name == DEFAULT_DETECTOR

    def weights(self) -> Path:
        """The checkpoint; raise BadInput if there is none, or the embedded one is not the shipped file."""
        if self.checkpoint is None:
            raise self.no_checkpoint()
        if self.spec and sha256(self.checkpoint) != self.spec.weights_sha256:
            raise BadInput(
                f"{self.checkpoint} was changed or cut off since it was made: install hrpose-rt again, or "
                "fetch the file again"
            )
        return self.checkpoint

    def no_checkpoint(self) -> BadInput:
        """The error to raise where the checkpoint is needed and there is none."""
        if self.name in EMBEDDED and self.engine:
            return BadInput(
                f"this installation has engines of {self.name} and not the checkpoint, which is needed for "
                f"that: put {self.name}{_SUFFIXES[EMBEDDED[self.name]]} from the folder models of the "
                f"checkout into {fetched_folder()}, or install the checkout with pip install -e ."
            )
        return BadInput(f"{self.name} is an engine, and its checkpoint is needed for that: give it instead")

    def in_precision(self, precision: str) -> "Model | None":
        """This model with its engine in that precision; None if there is no such engine."""
        if self.engine is None or self.spec is None:
            return None
        if self.spec.precision == precision:
            return self
        other = self.engine.with_name(f"{self.engine.stem}-{precision}{self.engine.suffix}")
        if not other.is_file():
            return None
        return replace(self, engine=other, spec=EngineSpec.load(spec_path(other)))


def find_model(name: str, task: Task, progress: BytesCallback = lambda done, total: None) -> Model:
    """The model with that name, downloaded if needed, or the file at that path.

    Args:
        name: An embedded or a published model, an Ultralytics detector, or a path.
        task: The task it is needed for.
        progress: Called with the bytes so far and in total.

    Raises:
        BadInput: There is no such name or file, or it is a model for another task.
        RunBroken: The download failed.
    """
    model = _find(name, task, progress)
    if model.spec and model.spec.task != task:
        raise BadInput(f"{name} is a {model.spec.task} network, one for {task} is needed here")
    return model


def names(task: Task) -> list[str]:
    """The names of all models; for Ultralytics' detectors only an example."""
    embedded = [name for name, of in EMBEDDED.items() if of == task]
    return [*embedded, *((*PUBLISHED, *PUBLISHED_ONNX) if task == "pose" else ("yolo26n",))]


def _find(name: str, task: Task, progress: BytesCallback) -> Model:
    if name in EMBEDDED:
        engine = models_folder() / f"{name}.onnx"
        checkpoint = _embedded_checkpoint(engine.with_name(name + _SUFFIXES[EMBEDDED[name]]))
        return Model(name, engine, checkpoint, EngineSpec.load(spec_path(engine)))
    if published := PUBLISHED.get(ALIASES.get(name, name)):
        return _of_checkpoint(published.name, _published(published, progress))
    if network := PUBLISHED_ONNX.get(name):
        return Model(name, None, _published_onnx(network, progress), None)
    if ULTRALYTICS.match(name):
        if task != "detection":
            raise BadInput(f"{name} is a detection network, one for {task} is needed here")
        return _of_checkpoint(name, _ultralytics(name))
    path = Path(name)
    if path.suffix not in (*CHECKPOINTS, *ENGINES):
        raise BadInput(
            f"there is no {task} model {name!r}: choose {' or '.join(names(task)[:3])} "
            "(hrpose-rt models list has all), or give the path of a "
            f"{', '.join(ENGINES)} or {'.pth' if task == 'pose' else '.pt'} file"
        )
    if not os.path.isfile(path):  # false for what is too long for a name
        raise BadInput(f"{path} does not exist: check the path")
    if task == "pose" and path.suffix == ".pt" and path.stem.lower().startswith("yolo"):
        raise BadInput(
            f"{path} is an Ultralytics network, which serves as a detector: a pose network here takes one "
            "person, such as HRNet, or RTMPose and ViTPose as .onnx files"
        )
    if path.suffix in CHECKPOINTS:
        return _of_checkpoint(path.stem, path)
    if path.suffix == ".onnx" and not spec_path(path).is_file():
        return Model(path.stem, None, path, None)  # made elsewhere
    if not spec_path(path).is_file():
        raise BadInput(f"{path} has no {spec_path(path).name} beside it that says what it holds")
    return Model(path.stem, path, None, EngineSpec.load(spec_path(path)))


def _embedded_checkpoint(path: Path) -> Path | None:
    """The checkpoint beside an embedded engine or, as wheels have none, in the folder of fetched ones."""
    if path.is_file():
        return path
    try:
        fetched = fetched_folder() / path.name
    except BadInput:  # this user has no home folder, which running the engine does not need
        return None
    return fetched if fetched.is_file() else None


def _of_checkpoint(name: str, checkpoint: Path) -> Model:
    """A checkpoint, with the spec that training wrote beside it.

    Published checkpoints are recognised by hash. Weights trained with UDP therefore use UDP whatever the
    file name.
    """
    digest = sha256(checkpoint)
    if spec_path(checkpoint).is_file():
        spec = EngineSpec.load(spec_path(checkpoint))
        if spec.weights_sha256 == digest:
            return Model(name, None, checkpoint, spec)
    known = next((p for p in PUBLISHED.values() if digest.startswith(p.sha256_prefix)), None)
    return Model(name, None, checkpoint, known.spec(digest) if known else None)


def _published(model: Published, progress: BytesCallback) -> Path:
    path = fetched_folder() / model.file_name
    if not path.is_file():
        fetch(model.url, path, model.sha256_prefix, progress)
    return path


def _published_onnx(network: PublishedOnnx, progress: BytesCallback) -> Path:
    path = fetched_folder() / network.file_name
    if not path.is_file():
        fetch_from_any(network.urls, path, network.sha256, progress)
    beside = path.with_suffix(".toml")
    if not beside.is_file():  # the file may have been put there by hand
        beside.write_text(network.description())
    return path


def _ultralytics(name: str) -> Path:
    """An Ultralytics detector's checkpoint, downloaded by their package."""
    path = fetched_folder() / f"{name}.pt"
    if path.is_file():
        return path
    try:
        from ultralytics.utils.downloads import attempt_download_asset
    except ImportError as error:
        raise RuntimeMissing(f"{name} needs ultralytics: {install_hint('train')}") from error
    make_writable(path.parent)
    reason: Exception | None = None
    try:
        attempt_download_asset(str(path))
    except (OSError, RuntimeError) as error:  # errors of its downloader
        reason = error
    if not path.is_file():
        raise RunBroken(
            f"{name}.pt could not be fetched ({reason or 'Ultralytics has no such file'}): try again, or "
            f"fetch {ULTRALYTICS_URL}/{name}.pt by hand and put it into {path.parent}"
        ) from reason
    return path


# Usual input sizes, for weights whose files and names do not say.
_POSE_INPUTS = {17: ((256, 192), "coco17"), 16: ((256, 256), "mpii16")}


_OTHER_INPUT = ((256, 192), None)


_DETECTOR_INPUTS = ((640, 640), (384, 640), (640, 384), (480, 640), (640, 480))


def spec_of_checkpoint(
    model: Model,
    task: Task,
    hints: NetworkHints = NO_HINTS,
    progress: Callable[[str], None] = lambda text: None,
) -> EngineSpec:
    """The spec of a checkpoint: what is known of it, else the hints, its name, or the usual values.

    Args:
        model, task: The model and its task.
        hints: What the user says about it.
        progress: Called with a text about assumed values.

    Raises:
        BadInput: Its joints are not known.
    """
    if model.spec:
        return model.spec
    assert model.checkpoint is not None
    digest = sha256(model.checkpoint)
    if model.is_onnx:
        return describe(model.checkpoint, task, digest, hints, progress)
    if task == "detection":
        return EngineSpec(model.name, task, _DETECTOR_INPUTS, "fp32", digest)
    joints = load_hrnet(model.checkpoint)[1].joints
    named_hw, named_decode = read_name(model.checkpoint.stem)
    usual_hw, usual = _POSE_INPUTS.get(joints, _OTHER_INPUT)
    if usual is None and hints.skeleton == "auto":
        raise BadInput(
            f"{model.checkpoint} has {joints} joints, and nothing says which: name them in a skeleton file "
            "and give it with `skeleton`"
        )
    (h, w) = hints.input_hw or named_hw or usual_hw
    how = named_decode if hints.decode == "auto" else hints.decode
    assumed = {} if hints.input_hw or named_hw else {"`input_hw`": f"{h}x{w}"}
    assumed |= {} if how else {"`decode`": "quarter"}
    if assumed:
        progress(
            f"nothing says how {model.checkpoint.name} was trained: {' and '.join(assumed.values())} "
            f"assumed, {' and '.join(assumed)} can say otherwise"
        )
    return EngineSpec(
        model=model.name,
        task="pose",
        inputs_hw=((h, w),),
        precision="fp32",
        weights_sha256=digest,
        skeleton=usual or hints.skeleton,
        heatmap_hw=heatmap_size((h, w)),
        decode=how or "quarter",
    )
