"""What a worker does for a batch at a URL: fetch the parts of a video, and send what is whole."""

import shutil
from pathlib import Path

from hrpose_rt.batch.names import REPORT
from hrpose_rt.batch.people_table import FILE, TABLE, partition
from hrpose_rt.batch.remote import Shelf
from hrpose_rt.batch.store import key_of
from hrpose_rt.paths import make_folder


class Delivery:
    """A folder for one task, whose files are sent. A context manager that removes the folder.

    Args:
        url: Where the batch is kept.
        folder: The folder; it is made.

    Raises:
        HrposeError: The URL or the folder cannot be used. All methods raise it, too.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.folder = folder
        self._shelf = Shelf(url)
        make_folder(folder)

    def fetched(self, part: Path) -> Path:
        """A copy of the file of a part."""
        path = self.folder / part.name
        self._shelf.get(key_of(part), path)
        return path

    def send_part(self, path: Path, part: Path) -> None:
        """Send the file of a part."""
        self._shelf.put(path, key_of(part))

    def send_video(self, folder: Path, name: str) -> None:
        """Send the outputs of a video, the report last: it is there only if all of them are."""
        self._shelf.remove(name)
        table = f"{TABLE}/{partition(name)}/{FILE}"
        if (folder / FILE).exists():
            self._shelf.put(folder / FILE, table)
        else:
            self._shelf.remove(table)
        files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != FILE]
        for path in sorted(files, key=lambda path: path.name == REPORT):
            self._shelf.put(path, f"{name}/{path.relative_to(folder).as_posix()}")

    def __enter__(self) -> "Delivery":
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
