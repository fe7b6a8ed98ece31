"""The container files parse and keep the rules of small, safe images. No image is built here."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

import hrpose_rt
from hrpose_rt.cli.main import build_app
from hrpose_rt.config import Settings
from hrpose_rt.runtimes.triton_server import parse_url
from hrpose_rt.sources.addresses import is_url

ROOT = Path(__file__).parents[1]
DOCKERFILES = ("Dockerfile", "Dockerfile.gpu")


def steps(text: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile, with joined lines and without comments."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in joined.splitlines()]


def faults(text: str) -> set[str]:
    """The rules that a Dockerfile breaks."""
    found, all_steps = set(), steps(text)
    last = max(i for i, (name, _) in enumerate(all_steps) if name == "FROM")
    users = [value for name, value in all_steps[last:] if name == "USER"]
    for name, value in all_steps:
        tag = value.split()[0].partition(":")[2]
        if name == "FROM" and (not re.match(r"[\w.-]*\d", tag) or tag == "latest"):
            found.add("a base without a version")
        if name in ("ADD", "MAINTAINER") or (name == "COPY" and value.split()[0] in (".", "/")):
            found.add("copies more than it needs")
        if name in ("CMD", "ENTRYPOINT") and not value.startswith("["):
            found.add("a shell is the process")
        if name == "RUN" and "apt-get install" in value and "rm -rf /var/lib/apt/lists" not in value:
            found.add("apt lists are left")
        if name == "RUN" and re.search(r"\bpip install\b", value) and "--no-cache-dir" not in value:
            found.add("pip's cache is left")
        if name == "RUN" and re.search(r"\b(sudo|curl|wget)\b", value):
            found.add("fetches or runs as root")
    if not users or users[-1] in ("root", "0"):
        found.add("runs as root")
    if [name for name, _ in all_steps[last:]].count("ENTRYPOINT") != 1:
        found.add("not one process")
    if "HEALTHCHECK" not in dict(all_steps):
        found.add("no health check")
    return found


GOOD = (ROOT / "Dockerfile").read_text()


@pytest.mark.parametrize("name", DOCKERFILES)
def test_dockerfile_keeps_the_rules(name: str) -> None:
    assert faults((ROOT / name).read_text()) == set()


@pytest.mark.parametrize(
    ("good", "bad", "fault"),
    [
        (":3.12-slim-bookworm", "", "a base without a version"),
        (":3.12-slim-bookworm", ":latest", "a base without a version"),
        ("COPY hrpose_rt hrpose_rt", "COPY . .", "copies more than it needs"),
        ('ENTRYPOINT ["hrpose-rt"]', "ENTRYPOINT hrpose-rt", "a shell is the process"),
        ("RUN useradd", "RUN apt-get install -y curl && useradd", "apt lists are left"),
        ("--no-cache-dir", "", "pip's cache is left"),
        ("USER 1000", "", "runs as root"),
        ("USER 1000", "USER root", "runs as root"),
        ("HEALTHCHECK", "# HEALTHCHECK", "no health check"),
        ('ENTRYPOINT ["hrpose-rt"]', "", "not one process"),
    ],
)
def test_broken_dockerfile_is_noticed(good: str, bad: str, fault: str) -> None:
    assert good in GOOD
    text = GOOD.replace(good, bad)
    if fault == "no health check":
        text = re.sub(r"^# HEALTHCHECK.*\n.*\n", "", text, flags=re.M)
    assert fault in faults(text)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_dockerfile_copies_what_the_builder_gets_and_installs_what_exists(name: str) -> None:
    text = (ROOT / name).read_text()
    sent = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [v for n, v in steps(text) if n == "COPY" and not v.startswith("--from")]
    for path in (path for value in copied for path in value.split()[:-1]):
        assert (ROOT / path).exists() and f"!{path}" in sent
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.search(r"'\.\[([a-z,-]+)\]'", text)[1].split(",")) <= set(extras)
    (opencv,) = re.findall(r"^opencv-python==(.+)$", (ROOT / "constraints.txt").read_text(), re.M)
    assert f"opencv-python-headless=={opencv}" in text
    check = json.loads(re.search(r"HEALTHCHECK.*CMD (\[.*\])", re.sub(r"\\\n\s*", "", text))[1])
    compile(check[2], "health check", "exec")


def documents(name: str) -> list[dict]:
    return list(yaml.safe_load_all((ROOT / "deploy" / name).read_text()))


def containers() -> list[tuple[str, dict, list[str]]]:
    """Every container of deploy/: its name, its description, and the words of its hrpose-rt command."""
    (compose,) = documents("compose.yaml")
    found = [(name, service, service["command"]) for name, service in compose["services"].items()]
    for document in documents("kubernetes.yaml"):
        for one in document["spec"]["template"]["spec"]["containers"]:
            words = one["args"]
            if "command" in one:
                words = shlex.split(words[0].partition("hrpose-rt ")[2])
            found.append((document["metadata"]["name"], one, words))
    return found


@pytest.mark.parametrize(("name", "container", "words"), containers(), ids=lambda v: str(v)[:20])
def test_deployed_containers_run_commands_that_exist(name: str, container: dict, words: list) -> None:
    assert container["image"] == f"hrpose-rt:{hrpose_rt.__version__}"
    run = get_command(build_app()).commands["run"]
    known = {option for parameter in run.params for option in parameter.opts}
    assert words[0] == "run" and {w for w in words if w.startswith("--")} <= known


def test_compose_has_two_cameras_with_caches_of_their_own() -> None:
    (compose,) = documents("compose.yaml")
    cameras = compose["services"].values()
    assert len({camera["ports"][0] for camera in cameras}) == len(cameras) == 2
    assert {camera["volumes"][0].split(":")[0] for camera in cameras} == set(compose["volumes"])
    for camera in cameras:
        assert camera["cap_drop"] == ["ALL"] and camera["read_only"]
        assert camera["ports"][0].startswith("127.0.0.1:")


def test_cameras_find_the_triton_server_that_triton_yaml_adds() -> None:
    ((compose,), (added,)) = documents("compose.yaml"), documents("triton.yaml")
    triton = added["services"].pop("triton")
    assert added["services"].keys() == compose["services"].keys()
    options = {"HRPOSE_" + p.name.upper() for p in get_command(build_app()).commands["run"].params}
    for camera in added["services"].values():
        assert camera["environment"].keys() <= options
        settings = {key.removeprefix("HRPOSE_").lower(): v for key, v in camera["environment"].items()}
        assert parse_url(Settings(**settings).url) == ("triton:8001", False)
        assert camera["depends_on"] == {"triton": {"condition": "service_healthy"}}
    assert triton["cap_drop"] == ["ALL"] and triton["read_only"] and triton["user"] != "root"
    assert "ports" not in triton and triton["healthcheck"]  # only the cameras reach it
    (models,) = triton["volumes"]
    assert models.endswith(":/models:ro") and triton["command"] == [
        "tritonserver",
        "--model-repository=/models",
    ]


def test_kubernetes_pods_are_not_root_and_have_limits() -> None:
    for document in documents("kubernetes.yaml"):
        pod = document["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert container["resources"]["limits"]
            assert not container["securityContext"]["allowPrivilegeEscalation"]
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


def test_image_for_ray_has_its_version_and_leaves_process_and_probes_to_kuberay() -> None:
    text = (ROOT / "Dockerfile.ray").read_text()
    assert faults(text) == {"no health check", "not one process"}
    (version,) = re.findall(r"^ray==(.+)$", (ROOT / "constraints.txt").read_text(), re.M)
    assert f"FROM rayproject/ray:{version}-py312-cpu" in text
    (opencv,) = re.findall(r"^opencv-python==(.+)$", (ROOT / "constraints.txt").read_text(), re.M)
    assert f"opencv-python-headless=={opencv}" in text and "'.[cluster]'" in text
    (job,) = documents("kuberay.yaml")
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == version


def test_ray_job_runs_a_command_that_exists_with_as_many_workers_as_its_pods_have_room_for() -> None:
    (job,) = documents("kuberay.yaml")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    program, command, *words = shlex.split(job["spec"]["entrypoint"])
    assert (program, command) == ("hrpose-rt", "batch")
    with get_command(build_app()).commands["batch"].make_context("batch", words) as context:
        given = context.params
    assert given["ray"] == "auto" and is_url(given["output"]) and all(map(is_url, given["source"]))
    (group,) = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    cores = int(group["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"])
    assert given["workers"] == group["replicas"] * cores // given["threads"]
    head = job["spec"]["rayClusterSpec"]["headGroupSpec"]
    assert head["rayStartParams"]["num-cpus"] == "0"


def test_pods_of_ray_are_not_root_and_have_limits_and_memory_for_objects() -> None:
    (job,) = documents("kuberay.yaml")
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        (container,) = pod["containers"]
        assert container["image"] == f"hrpose-rt:{hrpose_rt.__version__}-ray"
        assert container["resources"]["limits"] == container["resources"]["requests"]
        assert not container["securityContext"]["allowPrivilegeEscalation"]
        (volume,), (mount,) = pod["volumes"], container["volumeMounts"]
        assert (volume["name"], mount["mountPath"]) == (mount["name"], "/dev/shm")
        size = int(volume["emptyDir"]["sizeLimit"].removesuffix("Mi")) * 2**20
        assert int(group["rayStartParams"]["object-store-memory"]) < size
