"""Storages for tests: a web server on the loopback interface, and a bucket that is a folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem

from tests.serving import running


class Bucket(DirFileSystem):
    """`bucket://name/file` is a file in the folder `TEST_BUCKET`, for all processes of a test."""

    protocol = "bucket"

    def __init__(self, **options) -> None:
        super().__init__(os.environ["TEST_BUCKET"], LocalFileSystem(auto_mkdir=True))

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix("bucket://").rstrip("/")

    def unstrip_protocol(self, name: str) -> str:
        return f"bucket://{name}"


fsspec.register_implementation("bucket", Bucket, clobber=True)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address at which the files of a folder can be fetched."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    with running(server):
        yield f"http://127.0.0.1:{server.server_port}"
