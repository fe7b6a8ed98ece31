"""What a run sends to other machines, from the command line."""

import json
import signal
import sys
import time

import pytest
from typer.testing import CliRunner

from hrpose_rt.cli.live import LiveOutputs
from hrpose_rt.cli.main import build_app, main
from hrpose_rt.errors import BadInput
from hrpose_rt.sinks.event_outbox import Outbox
from tests.conftest import write_video
from tests.fakes import fake_networks
from tests.sinks.broker import Broker
from tests.sinks.receivers import Receiver, free_port


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a video with fake networks and these options, and returns what it printed and its report."""
    monkeypatch.setattr("hrpose_rt.pipeline.open_networks", lambda _: fake_networks([2, 2, 2]))
    monkeypatch.chdir(tmp_path)

    def begin(*options: str, frames: int = 60) -> tuple[str, dict]:
        write_video(tmp_path / "video.mp4", frames=frames, size_wh=(320, 240))
        words = ["run", "video.mp4", "--report", "report.json", *options]
        done = CliRunner().invoke(build_app(), words, catch_exceptions=False)
        assert done.exit_code == 0
        return done.output, json.loads((tmp_path / "report.json").read_text())

    return begin


@pytest.mark.slow
def test_run_pushes_its_video_and_reports_what_was_sent(run) -> None:
    url = f"rtmp://127.0.0.1:{free_port()}/live/secret"
    receiver = Receiver(url)
    time.sleep(0.3)
    printed, report = run("--push", url, "--overwrite")
    receiver.join()
    sent = report["push"]
    assert sent["sent"] + sent["dropped"] == 60 and sent["sent"] >= len(receiver.frames) > 0
    assert f"{sent['sent']} frames sent, {sent['dropped']} left out, 0 reconnections" in printed
    assert "secret" not in printed + json.dumps(report)


def test_run_without_live_outputs_reports_none(run) -> None:
    printed, report = run(frames=3)
    assert "push" not in report and "frames sent" not in printed


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_second_signal_ends_the_wait_for_the_network_but_not_the_report(number, run, monkeypatch) -> None:
    before = signal.signal(number, signal.default_int_handler)  # without it, the test would end here
    monkeypatch.setattr(Outbox, "close", lambda _: signal.raise_signal(number))
    try:
        printed, report = run("--webhook", f"http://127.0.0.1:{free_port()}/hook", frames=3)
    finally:
        signal.signal(number, before)
    assert report["frames"] == 3 and "milliseconds a frame" in printed


def test_push_shows_one_source_at_a_time() -> None:
    with (
        LiveOutputs("tcp://127.0.0.1:1") as live,
        pytest.raises(BadInput, match="`push` shows one source at a time: run each live source by itself"),
    ):
        live.viewers(concurrent=True)


def test_run_sends_its_events_and_reports_how_many(run) -> None:
    broker = Broker()
    url = f"mqtt://user:secret@127.0.0.1:{broker.port}/events"
    printed, report = run("--mqtt", url)
    broker.close()
    events = [json.loads(message) for _, message in broker.messages]
    assert [(event["type"], event["people"]) for event in events] == [("enter", 1), ("enter", 2)]
    assert events[0]["source"] == "video.mp4" and len(events[0]["box"]) == 4
    assert report["mqtt"] == {"sent": 2, "refused": 0, "dropped": 0}
    assert f"mqtt://127.0.0.1:{broker.port}: events: 2 sent, 0 refused, 0 dropped" in printed
    assert "secret" not in printed + json.dumps(report)


def test_run_goes_on_without_its_webhook(run, monkeypatch) -> None:
    monkeypatch.setattr("hrpose_rt.sinks.event_outbox.CLOSING_S", 0.5)
    printed, report = run("--webhook", f"http://127.0.0.1:{free_port()}/secret")
    assert report["webhook"] == {"sent": 0, "refused": 0, "dropped": 2}
    assert "takes no events (Connection refused): they are sent later; the run goes on" in printed
    assert "secret" not in printed + json.dumps(report)


def test_min_fps_needs_somebody_to_tell() -> None:
    with pytest.raises(
        BadInput, match="`min_fps` is about events: add `mqtt` or `webhook`, or leave it out"
    ):
        LiveOutputs(min_fps=10)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--color", "red"], "there is no --color red: choose side, person, score"),
        (["--labels", "name"], "--labels has no name: choose id, score or none"),
        (["--line-width", "99"], "--line-width is a number of pixels, 1 to 50, or 0 for one that fits"),
        (["--push", "out.mp4"], "--push is no address to send to: give rtmp://HOST/APP/KEY or"),
        (["--mqtt", "mqtt://u:secret@h"], "--mqtt needs a topic without + and #: give mqtt://[USER:PASS"),
        (["--webhook", "ftp://secret"], "--webhook is no address to send to: give https://HOST/PATH or"),
        (["--min-fps", "9"], "--min-fps is about events: add --mqtt or --webhook, or leave it out"),
    ],
)
def test_bad_values_are_named_by_their_options(video, monkeypatch, capsys, options, words) -> None:
    monkeypatch.setattr("sys.argv", ["hrpose-rt", "run", str(video), *options])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code == 2 and words in said and "secret" not in said
