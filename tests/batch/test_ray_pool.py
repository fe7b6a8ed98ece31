"""Workers of Ray: on this machine, and on the nodes of a cluster that is simulated on it."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import hrpose_rt
from hrpose_rt.batch import ray_pool
from hrpose_rt.batch.manifest import open_manifest, read_manifest
from hrpose_rt.batch.options import Options
from hrpose_rt.batch.parcel import pack
from hrpose_rt.batch.ray_pool import RayPool
from hrpose_rt.batch.schedule import Redo, Schedule, waiting_of
from hrpose_rt.batch.videos import find_videos
from hrpose_rt.batch.workers import Place
from hrpose_rt.config import Settings
from hrpose_rt.errors import BadInput
from tests.batch import fakes
from tests.batch.test_schedule import Quiet, lines
from tests.conftest import write_video

ROOT = Path(__file__).parents[2]
# Ray's own code: its finalizers close files late, and it forks with threads.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


def run(source: Path, output: Path, options: Options, place: Place, view: Quiet | None = None) -> None:
    with open_manifest(output) as manifest:
        waiting = waiting_of(manifest, find_videos([str(source)]), options, Redo())
        Schedule(manifest, options, view or Quiet()).run(RayPool(place, options, output), waiting)


def states(output: Path) -> dict[str, str]:
    return {entry.name: entry.state for entry in read_manifest(output)}


def videos(folder: Path, count: int, frames: int = 10) -> Path:
    folder.mkdir()
    for i in range(count):
        write_video(folder / f"{i}.mp4", frames=frames)
    return folder


def ray_processes() -> set[str]:
    """The processes of Ray on this machine, by id and name."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode().replace("\0", " ").strip()
        except OSError:
            continue
        if words.startswith("ray::") or "/ray/" in words.partition(" ")[0]:
            found.add(f"{path.parent.name} {words[:60]}")
    return found


def listening() -> set[str]:
    """The TCP addresses at which something listens, as the system writes them: in hex, backwards."""
    rows = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    return {row[1] for row in rows if row[3] == "0A"}


@pytest.mark.slow
def test_dead_worker_of_local_ray_costs_its_video_which_is_done_again(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    source, before = videos(tmp_path / "in", 3), ray_processes()
    write_video(source / "white.mp4", frames=14)  # its last frame is white
    trap = tmp_path / "trap"
    trap.touch()
    monkeypatch.setenv("TEST_TRAP", str(trap))
    options = Options(outputs=("json",), open_pipeline=fakes.deadly_pipeline)
    run(source, Path("out"), options, Place("local", workers=2))
    assert states(tmp_path / "out") == dict.fromkeys(("0", "1", "2", "white"), "done")
    assert not trap.exists()
    assert len(lines(tmp_path / "out" / "white" / "white.jsonl")) == 15
    assert not [path for path in (tmp_path / "out" / ".work").iterdir() if path.is_dir()]
    assert ray_processes() == before


DRIVER = """
import sys
from pathlib import Path
from tests.batch.test_ray_pool import Options, Place, fakes, run

if __name__ == "__main__":
    options = Options(outputs=("json",), open_pipeline=fakes.slow_pipeline)
    run(Path(sys.argv[1]), Path(sys.argv[2]), options, Place("local", workers=1))
"""


@pytest.mark.slow
def test_driver_that_is_killed_leaves_no_process_and_second_call_goes_on(tmp_path) -> None:
    source, before, ports = videos(tmp_path / "in", 4, frames=60), ray_processes(), listening()
    (tmp_path / "call.py").write_text(DRIVER)
    command = [sys.executable, str(tmp_path / "call.py"), str(source), str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path / "home")}
    (tmp_path / "home").mkdir()
    call = subprocess.Popen(command, env=environment)
    while call.poll() is None and "done" not in states(tmp_path / "out").values():
        time.sleep(0.05)
    opened = listening() - ports
    call.send_signal(signal.SIGKILL)
    assert call.wait() == -signal.SIGKILL, "it ended before it was killed"
    assert opened and all(address.partition(":")[0].endswith("0100007F") for address in opened)  # 127.0.0.1
    deadline = time.monotonic() + 15
    while ray_processes() != before and time.monotonic() < deadline:
        time.sleep(0.2)
    assert ray_processes() == before
    subprocess.run(command, env=environment, check=True)
    assert states(tmp_path / "out") == dict.fromkeys("0123", "done")
    written = lines(tmp_path / "out" / "manifest.jsonl")
    assert len([line for line in written if line["state"] == "done"]) == 4
    assert not (tmp_path / "home" / ".ray").exists()


@pytest.fixture(scope="module")
def cluster(module_environment):
    """A cluster of two nodes on this machine, of which the second has a resource for one worker."""
    from ray.cluster_utils import Cluster

    one = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    yield one
    one.shutdown()


@pytest.fixture(scope="module")
def module_environment():
    """Ray on the loopback interface, without statistics."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield


class Killing(Quiet):
    """Kills a node of the cluster when two workers are at work on parts."""

    def __init__(self, cluster, node) -> None:
        super().__init__()
        self._kill = lambda: cluster.remove_node(node, allow_graceful=False)
        self._at_work: dict[int, bool] = {}  # by worker: whether it has a part
        self.attempts: list[tuple] = []

    def began(self, worker, task) -> None:
        self.attempts.append((task.name, task.part and task.part[0].start))
        self._at_work[worker] = bool(task.part)
        if sum(self._at_work.values()) == 2 and self._kill:
            time.sleep(0.3)
            self._kill()
            self._kill = None


@pytest.mark.slow
def test_dead_node_of_cluster_costs_its_part_which_another_node_does_again(cluster, tmp_path) -> None:
    source = videos(tmp_path / "in", 3, frames=400)
    options = Options(outputs=("json",), split_s=20, open_pipeline=fakes.slow_pipeline)
    view = Killing(cluster, cluster.add_node(num_cpus=1))
    run(source, tmp_path / "out", options, Place(cluster.address, workers=0), view)
    assert states(tmp_path / "out") == dict.fromkeys("012", "done")
    for name in "012":
        assert len(lines(tmp_path / "out" / name / f"{name}.jsonl")) == 401
    parts = [attempt for attempt in view.attempts if attempt[1] is not None]
    assert len(parts) == 7 and len(set(parts)) == 6  # two of each video, and one of them again
    written = lines(tmp_path / "out" / "manifest.jsonl")
    assert len([line for line in written if line["state"] == "done"]) == 3


@pytest.mark.slow
def test_networks_that_cannot_be_opened_end_batch_with_reason_and_machine(cluster, tmp_path) -> None:
    source = videos(tmp_path / "in", 1)
    options = Options(open_pipeline=fakes.no_pipeline)
    with pytest.raises(BadInput, match=r"there is no network: fetch one \(on "):
        run(source, tmp_path / "out", options, Place(cluster.address))


def test_address_where_nothing_listens_is_named_at_once(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("ray.util.get_node_ip_address", lambda: "127.0.0.2")  # another one of this machine
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(BadInput, match=rf"no Ray answers at 127.0.0.2:{port} \(Connection refused\)"):
            RayPool(Place(f"localhost:{port}"), Options(), tmp_path)
    for address in ("there", "ray://127.0.0.1:10001", "there:"):
        with pytest.raises(BadInput, match="`ray` is local, auto, or the host:port of a cluster, not "):
            RayPool(Place(address), Options(), tmp_path)


def test_worker_refuses_another_version_and_a_folder_that_it_does_not_see(tmp_path) -> None:
    order = (hrpose_rt.__version__, Options(open_pipeline=fakes.fake_pipeline), pack(Settings()))
    gone = str(tmp_path / "out" / ".work" / "lock")
    worker = ray_pool.RayWorker()
    assert f"does not see {tmp_path / 'out'}: `output` and the videos are in" in worker.open(order, gone)
    assert "install 0.0.1 there" not in worker.open(order, str(tmp_path))
    assert "install 0.0.1 there, as it is here" in worker.open(("0.0.1", *order[1:]), str(tmp_path))
