"""Pictures of web pages that never finish loading, taken with Chromium.

`chromium --screenshot` takes its picture as soon as a page is loaded, before live data arrives. So this
speaks the DevTools protocol with the browser, through a pair of pipes.
"""

import base64
import itertools
import json
import os
import signal
import tempfile
import time
from contextlib import ExitStack
from shutil import which
from typing import Any

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
COMMANDS_FD, ANSWERS_FD = 3, 4  # the browser's ends of the pipes


def find_browser() -> str | None:
    """The path of Chromium, if it is installed."""
    return next(filter(None, map(which, PROGRAMS)), None)


def screenshot(browser: str, url: str, size_wh: tuple[int, int], wait_s: float) -> bytes:
    """Open a page and return its picture as PNG.

    Args:
        browser: The path of Chromium.
        url: The page.
        size_wh: Width and height of the page in pixels.
        wait_s: Seconds between opening the page and taking the picture.
    """
    with ExitStack() as stack:
        call = stack.enter_context(_Browser(browser)).call
        target = call("Target.createTarget", url="about:blank")["targetId"]
        session = call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        size = {"width": size_wh[0], "height": size_wh[1]}
        call("Emulation.setDeviceMetricsOverride", session, **size, deviceScaleFactor=1, mobile=False)
        call("Page.navigate", session, url=url)
        time.sleep(wait_s)
        return base64.b64decode(call("Page.captureScreenshot", session)["data"])


class _Browser:
    """A browser without a window. A context manager."""

    def __init__(self, program: str) -> None:
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        options = ["--headless=new", "--no-sandbox", "--hide-scrollbars", "--remote-debugging-pipe"]
        options += [f"--user-data-dir={self._folder.name}"]
        commands, to_browser = os.pipe()
        from_browser, answers = os.pipe()
        self._pid = os.posix_spawn(
            program,
            [program, *options],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, commands, COMMANDS_FD),
                (os.POSIX_SPAWN_DUP2, answers, ANSWERS_FD),
            ],
        )
        os.close(commands)
        os.close(answers)
        self._commands, self._answers = os.fdopen(to_browser, "wb", 0), os.fdopen(from_browser, "rb")
        self._numbers = itertools.count(1)

    def call(self, method: str, session: str = "", **parameters: object) -> dict[str, Any]:
        """Send a command and return its result."""
        number = next(self._numbers)
        command = {"id": number, "method": method, "params": parameters}
        self._commands.write(
            json.dumps(command | ({"sessionId": session} if session else {})).encode() + b"\0"
        )
        while True:
            answer = json.loads(self._read())
            if answer.get("id") == number:
                result: dict[str, Any] = answer["result"]
                return result

    def _read(self) -> bytes:
        """The next message; each ends with a zero byte."""
        message = bytearray()
        while (byte := self._answers.read(1)) != b"\0":
            if not byte:
                raise ConnectionError("Chromium ended before it answered: start it by hand to see why")
            message += byte
        return bytes(message)

    def __enter__(self) -> "_Browser":
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self._pid, signal.SIGTERM)
        os.waitpid(self._pid, 0)
        self._commands.close()
        self._answers.close()
        self._folder.cleanup()
