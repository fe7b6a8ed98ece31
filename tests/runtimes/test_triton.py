"""Networks on a Triton server: the same numbers, whatever happens to the server."""

import os
import shutil
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pytest

from hrpose_rt import backoff
from hrpose_rt.config import Settings
from hrpose_rt.errors import BadInput, RunBroken
from hrpose_rt.networks import open_pose
from hrpose_rt.run_info import Outages
from hrpose_rt.runtimes import triton_server
from hrpose_rt.runtimes.triton import open_served
from hrpose_rt.runtimes.triton_server import TritonServer, parse_url
from tests.runtimes.triton_fake import POSE, FakeTriton, heatmaps, served, served_later

CROPS = np.random.default_rng(0).integers(0, 256, (7, 64, 64, 3), np.uint8)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_BACKOFF_S", 0.05)
    monkeypatch.setattr(backoff, "MAX_BACKOFF_S", 0.2)
    monkeypatch.delenv(triton_server.TOKEN_VARIABLE, raising=False)


def settings(port: int, **fields) -> Settings:
    return Settings(pose="tiny", runtime="triton", url=f"grpc://127.0.0.1:{port}", **fields)


class Opened:
    """A network on a fake server at a port, with what is said of it."""

    def __init__(self, port: int, **fields) -> None:
        self.said: list[str] = []
        self.outages = Outages()
        about = settings(port, **fields)
        self.runtime, self.spec = open_served("tiny", "pose", about, self.said.append, self.outages)

    def __enter__(self) -> "Opened":
        return self

    def __exit__(self, *_: object) -> None:
        self.runtime.close()


def assert_right(opened: Opened, crops: np.ndarray = CROPS) -> None:
    np.testing.assert_array_equal(opened.runtime.infer(crops), heatmaps(crops))


@pytest.mark.parametrize("sees_memory", [True, False])
def test_infer_gives_the_networks_numbers_in_batches_that_the_server_prefers(sees_memory) -> None:
    fake = FakeTriton(max_batch=8, preferred=(2, 4))
    fake.sees_memory = sees_memory
    with served(fake) as port, Opened(port) as opened:
        assert opened.spec == replace(POSE, max_batch=4)
        assert (opened.runtime.precision, opened.runtime.device) == ("fp32", "server")
        for _ in range(3):
            assert_right(opened)
        batches = [request.inputs[0].shape[0] for name, request in fake.calls if name == "ModelInfer"]
        assert batches == [4, 3] * 3
        shared = [not r.raw_input_contents for name, r in fake.calls if name == "ModelInfer"]
        assert shared == [sees_memory] * 6
        results = [bool(r.outputs[0].parameters) for name, r in fake.calls if name == "ModelInfer"]
        assert results == [False, False, *[sees_memory] * 4]  # their size is known after the first time
    assert fake.count("SystemSharedMemoryRegister") == (2 if sees_memory else 1)
    assert fake.memory == {} and not list(Path("/dev/shm").glob(f"hrpose-{os.getpid()}-*"))


def test_largest_batch_without_preferred_sizes_is_the_configured_one() -> None:
    with served(FakeTriton(max_batch=3, preferred=())) as port, Opened(port) as opened:
        assert opened.spec.max_batch == 3


def test_server_that_restarts_is_waited_for_and_nothing_is_lost() -> None:
    fake = FakeTriton()
    with served(fake) as port:
        opened = Opened(port)
        assert_right(opened)
        assert_right(opened)
    with opened, served_later(again := FakeTriton(), port, seconds=0.5):
        assert_right(opened)
        assert_right(opened)
        assert again.count("ModelConfig") == 1 and again.memory  # the network is checked, memory shared
    away, back = opened.said
    assert away.startswith(f"grpc://127.0.0.1:{port} does not answer (") and away.endswith("tried for 60 s")
    assert " answers after " in back and "no frame of a file is lost" in back
    assert opened.outages.count == 1 and 0.3 < opened.outages.away_s < 10


def test_restart_between_two_calls_only_renews_shared_memory() -> None:
    with served(FakeTriton()) as port:
        opened = Opened(port)
        assert_right(opened)
    with opened, served(again := FakeTriton(), port):
        grpc.channel_ready_future(opened.runtime._server._channel).result(timeout=10)
        assert_right(opened)
        assert again.memory
    assert opened.outages.count == 0


def test_server_that_comes_back_with_another_network_ends_the_run() -> None:
    with served(FakeTriton()) as port:
        opened = Opened(port)
    other = FakeTriton(replace(POSE, sha256="b2"))
    with (
        opened,
        served_later(other, port, 0.2),
        pytest.raises(RunBroken, match="came back with another tiny"),
    ):
        opened.runtime.infer(CROPS)


def test_server_without_the_network_is_waited_for_as_it_may_be_stopping() -> None:
    fake = FakeTriton()
    with served(fake) as port, Opened(port) as opened:
        name, fake.config.name = fake.config.name, "else"
        timer = threading.Timer(0.3, setattr, [fake.config, "name", name])
        timer.start()
        assert_right(opened)
        timer.join()
        assert " no longer serves tiny: it is tried for 60 s" in opened.said[0]
        fake.config.name, opened.runtime._server._wait_s = "else", 0.2
        with pytest.raises(RunBroken, match=r"no longer serves tiny, 0\.2 s long: start the Triton server"):
            opened.runtime.infer(CROPS)


def test_server_that_stays_away_ends_the_run_with_one_sentence(monkeypatch) -> None:
    with served(FakeTriton()) as port:
        server = TritonServer(f"grpc://127.0.0.1:{port}", lambda text: None, wait_s=0.3)
        request = server.messages.ModelConfigRequest(name="tiny")
        server.call("ModelConfig", request)
    with pytest.raises(RunBroken, match=r"does not answer \(.*\), 0.3 s long: start the Triton server"):
        server.call("ModelConfig", request)
    server.close()


def test_call_beyond_its_deadline_is_repeated() -> None:
    fake, said = FakeTriton(), []
    with served(fake) as port:
        opened = Opened(port)
        opened.runtime._server._call_s, opened.runtime._server._progress = 0.3, said.append
        fake.delays = [1.0]
        with opened:
            assert_right(opened)
            before = set(fake.memory)
            assert_right(opened)  # the late answer may still come into the old memory
            assert len(set(fake.memory) - before) == 2
    assert "does not answer within 0.3 s" in said[0] and len(said) == 2
    assert opened.outages.count == 1


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (
            (grpc.StatusCode.INVALID_ARGUMENT, "bad"),
            r"refuses a batch of 4 x 64 x 64 x 3 \(bad\): the serv",
        ),
        ((grpc.StatusCode.INTERNAL, "a\nboom."), r"failed \(boom\): its log says more"),
    ],
)
def test_failure_of_the_server_is_no_outage(failure, words) -> None:
    fake = FakeTriton()
    with served(fake) as port, Opened(port) as opened:
        fake.failures = [failure] * 2
        with pytest.raises(RunBroken, match=words):
            opened.runtime.infer(CROPS)
        assert opened.outages.count == 0 and opened.said == []


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED])
def test_call_that_was_cut_off_is_repeated(code) -> None:
    fake = FakeTriton()
    with served(fake) as port, Opened(port) as opened:
        fake.failures = [(code, "a: b: Socket closed")]
        assert_right(opened)
        assert "does not answer (Socket closed): it is tried for 60 s" in opened.said[0]
        assert opened.outages.count == 1


def test_token_is_sent_and_a_wrong_one_is_an_error(monkeypatch) -> None:
    fake = FakeTriton()
    fake.token = "secret"
    with served(fake) as port:
        with pytest.raises(BadInput, match="refuses the token: set HRPOSE_TRITON_TOKEN to its own"):
            Opened(port)
        monkeypatch.setenv("HRPOSE_TRITON_TOKEN", "secret")
        with Opened(port) as opened:
            assert_right(opened)
    assert fake.metadata[-1]["authorization"] == "Bearer secret"


def test_token_is_not_sent_unencrypted_to_another_machine(monkeypatch) -> None:
    monkeypatch.setenv("HRPOSE_TRITON_TOKEN", "secret")
    with pytest.raises(BadInput, match="would cross the network in clear text: use grpcs:// in `url`"):
        TritonServer("grpc://triton.example:8001", print)
    TritonServer("grpcs://triton.example:8001", print).close()


@pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl, which makes a certificate, is not here"
)
def test_tls_accepts_a_certificate_of_a_known_authority_only(tmp_path, monkeypatch) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
    with served(FakeTriton(), credentials=credentials) as port:
        url = f"grpcs://127.0.0.1:{port}"
        server = TritonServer(url, lambda text: None, wait_s=0.2)
        with pytest.raises(RunBroken, match="does not answer"):
            server.call("ModelConfig", server.messages.ModelConfigRequest(name="tiny"))
        server.close()
        monkeypatch.setenv(triton_server.ROOTS_VARIABLE, str(certificate))
        server = TritonServer(url, lambda text: None)
        assert server.call("ModelConfig", server.messages.ModelConfigRequest(name="tiny")).config.name
        server.close()


@pytest.mark.parametrize(
    ("name", "task", "fields", "words"),
    [
        (
            "mine",
            "pose",
            {},
            r"serves no mine: choose tiny, or add it with hrpose-rt export --format triton",
        ),
        (
            "broken",
            "pose",
            {},
            r"serves no broken: it does not load \(Internal: x no such file\); the server's log says",
        ),
        (
            "tiny",
            "detection",
            {},
            r"tiny at grpc://\S+ is a pose network, one for detection is needed here",
        ),
        ("tiny", "pose", {"precision": "int8"}, r"tiny at \S+ is fp32: leave out `precision`, or export"),
        ("tiny", "pose", {"input_hw": (96, 96)}, r"is for 64x64 and no other `input_hw`: leave it out"),
    ],
)
def test_model_that_does_not_fit_is_one_sentence(name, task, fields, words) -> None:
    with served(FakeTriton()) as port, pytest.raises(BadInput, match=words):
        open_served(name, task, settings(port, **fields), print)


def test_model_of_another_program_is_one_sentence() -> None:
    fake = FakeTriton()
    with served(fake) as port:
        fake.config.parameters["hrpose_spec"].string_value = "{}"
        with pytest.raises(
            BadInput, match=r"does not describe a network \(schema: 'none'.*export it again"
        ):
            Opened(port)
        del fake.config.parameters["hrpose_spec"]
        with pytest.raises(BadInput, match="is no network of this program: write its model repository"):
            Opened(port)


def test_skeleton_of_a_file_has_to_be_given(tmp_path) -> None:
    file = tmp_path / "seventeen.json"
    file.write_text('{"joints": [' + ", ".join(f'"j{i}"' for i in range(17)) + "]}")
    with served(FakeTriton(replace(POSE, skeleton="seventeen.json"))) as port:
        with pytest.raises(
            BadInput, match=r"has the skeleton of a file: give seventeen\.json with `skeleton`"
        ):
            Opened(port)
        with Opened(port, skeleton=str(file)) as opened:
            assert opened.spec.skeleton == str(file)


def test_pipeline_of_a_served_network_says_where_it_runs() -> None:
    with served(fake := FakeTriton()) as port:
        estimator, info = open_pose(settings(port))
        with estimator:
            estimator.warm_up()
        assert (info.runtime, info.device, info.model) == ("triton", "server", "tiny")
        assert info.reason == f"served by grpc://127.0.0.1:{port}"
        batches = [request.inputs[0].shape[0] for name, request in fake.calls if name == "ModelInfer"]
        assert len(batches) == 2  # the server warms itself up


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:8001", "http://host:8000", "grpc://", "grpc://host:port", "grpc://a:b@host", "grpc://h/x"],
)
def test_other_addresses_are_refused(url) -> None:
    with pytest.raises(BadInput, match="`url` is grpc://HOST:8001, or grpcs:// with TLS") as error:
        parse_url(url)
    assert "a:b" not in str(error.value)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"url": "grpc://h"}, "`url` and `device` server are for `runtime` triton: add it"),
        ({"device": "server"}, "`url` and `device` server are for `runtime` triton: add it"),
        ({"runtime": "triton"}, "needs the server's address: add `url` grpc://HOST:8001"),
        ({"runtime": "triton", "url": "grpc://h", "device": "cuda"}, "leave out `device` cuda"),
    ],
)
def test_settings_name_a_server_if_and_only_if_it_is_used(fields, words) -> None:
    with pytest.raises(BadInput, match=words):
        Settings(**fields)


@pytest.mark.parametrize("token", ["sécret", "secret\nsecret"])
def test_token_that_no_header_can_have_is_named_without_it(token, monkeypatch) -> None:
    monkeypatch.setenv("HRPOSE_TRITON_TOKEN", token)
    with pytest.raises(BadInput, match="HRPOSE_TRITON_TOKEN has characters that no header") as raised:
        TritonServer("grpc://127.0.0.1:1", print)
    assert "cret" not in str(raised.value)
