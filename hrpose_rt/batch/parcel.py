"""The files that settings name, sent to a machine that may lack them."""

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hrpose_rt.config import Settings
from hrpose_rt.nets.spec import Task
from hrpose_rt.nets.zoo import CHECKPOINTS, EMBEDDED, ENGINES, find_model
from hrpose_rt.paths import atomic_write, cache_dir, fetched_folder, make_writable

FILES = ("skeleton", "region", "ignore_region")  # settings that may name a file
BESIDE = (*CHECKPOINTS, *ENGINES, ".bin", ".json", ".toml")  # suffixes of the files of a network


@dataclass(frozen=True, slots=True)
class Parcel:
    """Settings with the content of their files.

    >>> from hrpose_rt import Settings
    >>> from hrpose_rt.batch.parcel import pack, unpack
    >>> unpack(pack(Settings(det_score=0.5))) == Settings(det_score=0.5)
    True

    Attributes:
        settings: They name files of another machine.
        sent: The contents by setting and file name. The first file of a setting is the one that it names.
        fetched: The contents of networks that are known by name.
    """

    settings: Settings
    sent: dict[str, dict[str, bytes]]
    fetched: dict[str, bytes]


def pack(settings: Settings) -> Parcel:
    """Read the files. Networks that have to be fetched are fetched first; the embedded ones are everywhere.

    Raises:
        HrposeError: There is no such network.
    """
    sent: dict[str, dict[str, bytes]] = {}
    fetched: dict[str, bytes] = {}
    for name in FILES:
        path = Path(getattr(settings, name))
        if path.suffix and path.is_file():
            sent[name] = {path.name: path.read_bytes()}
    networks: dict[str, Task] = {"pose": "pose", "detector": "detection"}
    for name, task in networks.items():
        given = getattr(settings, name)
        if given in EMBEDDED:
            continue
        model = find_model(given, task)
        main = model.checkpoint or model.engine
        assert main
        files = {one.name: one.read_bytes() for one in (main, *_beside(main))}
        if Path(given).suffix in (*CHECKPOINTS, *ENGINES):
            sent[name] = files
        else:
            fetched |= files
    return Parcel(settings, sent, fetched)


def _beside(path: Path) -> list[Path]:
    """The other files of a network: its spec, its weights, and its engines in other precisions."""
    stems = (path.stem, f"{path.stem}-int8", f"{path.stem}-fp16")
    files = [one for one in sorted(path.parent.iterdir()) if one.stem in stems and one.suffix in BESIDE]
    return [one for one in files if one != path]


def unpack(parcel: Parcel) -> Settings:
    """The settings with the paths of these files on this machine, in its cache folder.

    Files of the same content are written once.
    """
    for name, content in parcel.fetched.items():
        _put(fetched_folder() / name, content)
    paths: dict[str, Any] = {}
    for setting, files in parcel.sent.items():
        digest = hashlib.sha256()
        for name, content in files.items():
            digest.update(f"{name}\0{len(content)}\0".encode())
            digest.update(content)
        folder = cache_dir() / "sent" / digest.hexdigest()[:16]
        for name, content in files.items():
            _put(folder / name, content)
        paths[setting] = str(folder / next(iter(files)))
    return replace(parcel.settings, **paths)


def _put(path: Path, content: bytes) -> None:
    if path.is_file() and path.stat().st_size == len(content):
        return
    make_writable(path.parent)
    with atomic_write(path, tag=f"-{os.getpid()}") as file:
        file.write_bytes(content)
