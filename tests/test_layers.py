"""Imports point down, and heavy libraries are loaded at the moment they are used."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "hrpose_rt"
LAYERS = {
    name: layer
    for layer, names in enumerate(
        (
            "types run_info skeleton errors paths hardware structures console regions backoff",
            "nets config drawing geometry timing queues",
            "runtimes result kinematics",
            "detection pose tracking sources sinks",
            "networks open_model session stream_state given_state budget export evaluation",
            "pipeline",
            "bench training doctor batch",
            "cli __main__",
        )
    )
    for name in names.split()
}
HEAVY = {"torch", "ultralytics", "openvino", "onnxruntime", "onnx", "av", "supervision", "trackers"}
HEAVY |= {"filelock", "fsspec", "lap", "matplotlib", "paho", "pyarrow", "pycocotools", "ray", "scipy"}
HEAVY |= {"google", "grpc", "tritonclient"}
MAX_PARAMETERS = 6  # of a function; a dataclass groups the values that belong together
LEARNING = ("amp", "checkpoints", "dataset", "distributed", "optimizer", "trainer", "validation")
AT_HOME = {  # modules that are about one heavy library, and are themselves imported late
    **dict.fromkeys(("nets/hrnet.py", "nets/preprocessing.py", "nets/yolo.py"), "torch"),
    **dict.fromkeys(("runtimes/torch_eager.py", "runtimes/torch_graphs.py"), "torch"),
    "export/torch_onnx.py": "torch",
    "bench/plots.py": "matplotlib",
    "kinematics/plots.py": "matplotlib",
    **dict.fromkeys(
        (
            "pose/estimator_cuda.py",
            "detection/yolo_cuda.py",
            "runtimes/trt.py",
            "runtimes/cuda_frames.py",
            "runtimes/cuda.py",
        ),
        "torch",
    ),
    **{f"training/{name}.py": "torch" for name in LEARNING},
    **{
        f"sources/{name}.py": "av"
        for name in "audio connection hwaccel live_video network video video_stream video_timing".split()
    },
}
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path != PACKAGE / "__init__.py"
}
# A command has a parameter for each of its options.
OUTSIDE_CLI = [path for path in MODULES.values() if not path.is_relative_to(PACKAGE / "cli")]


def imports(module: Path, top_level_only: bool = False) -> list[str]:
    """The dotted names that a module imports, inside functions and for type checkers, too."""
    tree = ast.parse(module.read_text())
    if top_level_only:
        tree.body = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def room(name: str) -> str:
    """The part of the package that a dotted name is in: "pose" of hrpose_rt.pose.crops."""
    return name.split(".")[1]


def imported_modules(module: Path) -> set[str]:
    """The modules of this package that a module imports, or imports names from."""
    names = {name if name in MODULES else name.rpartition(".")[0] for name in imports(module)}
    return names & set(MODULES)


@pytest.mark.parametrize("module", MODULES.values(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_layers_import_only_downwards(module: Path) -> None:
    here = module.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for name in imports(module):
        if name.startswith("hrpose_rt."):
            there = room(name)
            assert LAYERS[there] <= LAYERS[here], f"{here} imports {name} from above"
            neighbours = LAYERS[there] == 3 and there != here
            assert not (neighbours and LAYERS[here] == 3), f"{here} knows of {there}"


def test_modules_have_no_import_cycles() -> None:
    TopologicalSorter({name: imported_modules(path) for name, path in MODULES.items()}).prepare()


def test_packages_have_no_import_cycles() -> None:
    rooms: dict[str, set[str]] = {}
    for name, path in MODULES.items():
        others = {room(other) for other in imported_modules(path)} - {room(name)}
        rooms.setdefault(room(name), set()).update(others)
    TopologicalSorter(rooms).prepare()


@pytest.mark.parametrize("module", MODULES.values(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_heavy_libraries_are_imported_lazily(module: Path) -> None:
    allowed = {AT_HOME.get(module.relative_to(PACKAGE).as_posix())}
    loaded = {name.split(".")[0] for name in imports(module, top_level_only=True)}
    assert loaded & HEAVY <= allowed


@pytest.mark.parametrize("module", OUTSIDE_CLI, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_functions_have_at_most_six_parameters(module: Path) -> None:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            names = [argument.arg for argument in arguments if argument.arg not in ("self", "cls")]
            assert len(names) <= MAX_PARAMETERS, f"{node.name} has {', '.join(names)}"


def test_package_import_loads_no_heavy_library() -> None:
    heavy = sorted(HEAVY | {"cv2", "scipy", "rich", "typer"})
    code = f"import sys, hrpose_rt; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_are_importable() -> None:
    import hrpose_rt

    for name in hrpose_rt.__all__:
        assert getattr(hrpose_rt, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        hrpose_rt.nonsense  # noqa: B018


def test_contributing_lists_the_layers() -> None:
    """Every module has its row in CONTRIBUTING, but the one that starts the command line."""
    listed = {}
    for line in (PACKAGE.parent / "CONTRIBUTING.md").read_text().splitlines():
        layer, _, names = line.partition("  ")
        if layer.isdecimal():
            listed |= dict.fromkeys(names.split(), int(layer))
    assert listed == {name: layer for name, layer in LAYERS.items() if name != "__main__"}
