"""What README shows is what happens."""

import json
import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from hrpose_rt.cli.main import build_app
from hrpose_rt.kinematics.scale import Ground, parse_scale
from hrpose_rt.nets.onnx_source import NetworkHints, describe
from hrpose_rt.runtimes.selection import PRECISIONS_OF
from hrpose_rt.skeleton import find_skeleton
from tests import onnx_files
from tests.conftest import write_video
from tests.fakes import RUN, fake_networks
from tests.sinks.test_video import info, results

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def block(language: str) -> str:
    (text,) = re.findall(rf"```{language}\n(.*?)```", README, re.S)
    return text


def toml_of(page: str) -> str:
    """The first TOML example of a page of docs/."""
    return re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / page).read_text(), re.S)[0]


def test_readme_python_example_runs(tmp_path, monkeypatch, photos, capsys) -> None:
    write_video(tmp_path / "video.mp4", frames=3)
    monkeypatch.chdir(tmp_path)
    image = cv2.imread(str(photos / "bus.jpg"))
    names = {"image": image, "boxes": [[50, 400, 245, 905]]}
    exec(block("python"), names)
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert len(names["result"]) >= 3
    assert names["poses"].keypoints.shape == (1, 17, 2)
    assert names["picture"].shape == image.shape
    assert names["line"]["frame"] == 0


def test_docs_python_page_examples_run(tmp_path, monkeypatch, photos, capsys) -> None:
    write_video(tmp_path / "video.mp4", frames=3, size_wh=(128, 72))
    monkeypatch.chdir(tmp_path)
    names = {"image": cv2.imread(str(photos / "bus.jpg"))}
    for code in re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.S):
        exec(code, names)
    assert capsys.readouterr().out == "at most 0 people\n0 0\n1 0\n2 0\n"
    assert names["poses"].keypoints.shape[1:] == (17, 2)
    assert names["picture"].shape == names["image"].shape


def test_docs_movement_page_example_runs(tmp_path, monkeypatch, capsys) -> None:
    write_video(tmp_path / "video.mp4", frames=3, size_wh=(128, 72))
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "movement.md").read_text(), re.S)
    exec(code, {})
    assert capsys.readouterr().out == "(0, 19) left_knee\n" * 3


def test_docs_ground_points_are_valid(tmp_path: Path) -> None:
    (points,) = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "movement.md").read_text(), re.S)
    (tmp_path / "points.json").write_text(points)
    ground = parse_scale(str(tmp_path / "points.json"))
    assert isinstance(ground, Ground)
    places = ground.place([[212, 690], [880, 410]])
    assert places.ravel().tolist() == pytest.approx([0, 0, 5, 8], abs=1e-6)


def test_readme_precision_table_equals_code() -> None:
    table, runtime = {}, ""
    rows = README.partition("| `--runtime` |")[2].partition("\n\n")[0].splitlines()[2:]
    for row in rows:
        names, _, devices, precisions = (re.findall(r"`([^`]+)`", cell) for cell in row.split("|")[1:-1])
        runtime = names[0] if names else runtime
        table[runtime, devices[0]] = tuple(precisions)
    assert table == PRECISIONS_OF


def test_docs_toml_examples_are_valid(tmp_path: Path) -> None:
    network, skeleton = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "models.md").read_text(), re.S)
    (tmp_path / "cat.toml").write_text(skeleton)
    assert find_skeleton(str(tmp_path / "cat.toml")).flip_pairs == ((1, 2),)
    (tmp_path / "mine.toml").write_text(network)
    spec = describe(
        onnx_files.heatmaps(tmp_path / "mine.onnx", 26), "pose", "", NetworkHints(), lambda _: None
    )
    assert (spec.skeleton, spec.decode, spec.normalization.channels) == ("halpe26", "dark", "bgr")


def test_readme_jsonl_example_has_keys_and_ranges_of_real_output() -> None:
    header, frame = map(json.loads, block("json").splitlines())
    about = info()
    written = {
        "source": about.name,
        "width": about.width,
        "height": about.height,
        "fps": about.fps,
        **RUN.to_dict(),
    }
    assert set(header) <= {"hrpose", "schema", *written}
    (result,) = results(1)
    line = result.to_dict()
    assert list(frame) == list(line)
    assert list(frame["people"][0]) == list(line["people"][0])
    assert set(frame["latency_ms"]) <= set(line["latency_ms"])
    x1, y1, x2, y2 = frame["people"][0]["box"]
    assert 0 <= x1 < x2 <= header["width"] and 0 <= y1 < y2 <= header["height"]


def commands() -> dict[str, set[str]]:
    """The options of every command of `hrpose-rt`, by its words."""
    app = get_command(build_app())
    pairs = [(name, command) for name, command in app.commands.items()]
    for group in ("eval", "bench", "config"):
        pairs += [(f"{group} {name}", command) for name, command in app.commands[group].commands.items()]
    known = {
        name: {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
        for name, command in pairs
    }
    return known | {"config show": known["run"]}  # it takes what run takes


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_docs_commands_accept_their_options(page: Path) -> None:
    known = commands()
    shown = re.findall(
        r"(?:hrpose-rt|-m hrpose_rt) ((?:(?:eval|bench|config) )?[a-z]+)((?: [^\n`]*)?)", page.read_text()
    )
    assert shown or page.name == "python.md"
    for name, rest in shown:
        options = set(re.findall(r"(?<!\S)--[a-z][a-z-]+", rest.partition("#")[0]))
        assert options <= known[name], f"{name}: {options - known[name]}"


def runnable() -> list[tuple[str, str]]:
    """The runs shown on all pages that need no camera, network, screen or files of one's own."""
    shown = [
        (page.name, c)
        for page in PAGES
        for c in re.findall(r"^    (hrpose-rt run .*)$", page.read_text(), re.M)
    ]
    return [
        (name, command)
        for name, command in shown
        if not re.search(r"://| \d+ |--show|--serve|--pose|VIDEO", command.partition("#")[0] + " ")
    ]


@pytest.mark.parametrize(("page", "command"), runnable())
def test_docs_run_commands_succeed(page, command, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("hrpose_rt.pipeline.open_networks", lambda _: fake_networks([2, 0, 7]))
    monkeypatch.chdir(tmp_path)
    for name in ("video.mp4", "clips/one.mp4", "clips/two.mp4"):
        Path(name).parent.mkdir(exist_ok=True)
        write_video(Path(name))
    Path("photos").mkdir()
    cv2.imwrite("photos/one.png", np.zeros((48, 64, 3), np.uint8))
    Path("list.txt").write_text("video.mp4\n")
    Path("run.toml").write_text(toml_of("running.md"))
    Path("mirror.json").write_text("[[0, 0], [9, 0], [9, 9]]")
    words = shlex.split(command, comments=True)[1:]
    if "--from-report" in words:
        Path("report.json").write_text('{"options": {"source": ["video.mp4"]}}')
    done = CliRunner().invoke(build_app(), words, catch_exceptions=False)
    assert done.exit_code == 0 and "frames in" in done.output
    for option in ("--save", "--json", "--csv", "--coco", "--mot", "--angles", "--report"):
        assert option not in words or Path(words[words.index(option) + 1]).exists()


def test_docs_run_commands_come_from_readme_running_and_outputs() -> None:
    assert {"README.md", "running.md", "outputs.md"} <= {page for page, _ in runnable()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_docs_options_exist(page: Path) -> None:
    known = set().union(*commands().values()) | {"--nproc-per-node"}
    known |= {"--model-repository", "--grpc-restricted-protocol", "--ipc"}  # of tritonserver and docker
    assert set(re.findall(r"--[a-z][a-z-]+", page.read_text())) <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_docs_links_have_targets(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        file, _, heading = link.partition("#")
        target = page.parent / file
        assert target.exists(), link
        titles = re.findall(r"^#+ (.*)$", target.read_text(), re.M) if heading else []
        assert not heading or heading in {title.lower().replace(" ", "-") for title in titles}, link


def test_readme_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"(?:`|^    )make ([a-z]+)", README, re.M))
    assert {"demo", "test"} <= named
    for target in named:
        assert f"\n{target}:" in makefile
