"""What a batch came to: its videos by state, and latency by crowd size over all of them."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from hrpose_rt.batch.manifest import Entry, Manifest
from hrpose_rt.batch.names import PAGE, SUMMARY
from hrpose_rt.batch.store import Store
from hrpose_rt.batch.summary_page import page
from hrpose_rt.paths import atomic_write, write_json
from hrpose_rt.timing import LatencyTable


@dataclass(frozen=True, slots=True)
class Summary:
    """All videos of a batch, also those of earlier calls.

    >>> from hrpose_rt.batch.manifest import Entry
    >>> from hrpose_rt.batch.summary import Summary
    >>> from hrpose_rt.timing import LatencyTable
    >>> entries = (Entry("a", "/a.mp4", state="done", frames=9), Entry("b", "/b.mp4", state="failed"))
    >>> str(Summary(entries, LatencyTable()))
    '1 done, 1 failed; 9 frames'

    Attributes:
        entries: The videos.
        table: The frames of all that have outputs. Histograms are added up, so percentiles are within 1%.
    """

    entries: tuple[Entry, ...]
    table: LatencyTable

    @property
    def failed(self) -> list[Entry]:
        """The videos that failed."""
        return [entry for entry in self.entries if entry.state == "failed"]

    def __str__(self) -> str:
        counts = Counter(entry.state for entry in self.entries)
        states = [f"{counts[state]} {state}" for state in ("done", "failed", "waiting") if counts[state]]
        return f"{', '.join(states)}; {sum(entry.frames for entry in self.entries)} frames"

    def to_dict(self) -> dict[str, Any]:
        """For a file."""
        return {
            "videos": len(self.entries),
            "states": dict(Counter(entry.state for entry in self.entries)),
            "frames": sum(entry.frames for entry in self.entries),
            "seconds": round(sum(entry.seconds for entry in self.entries), 3),
            "failed": {entry.name: entry.reason for entry in self.failed},
            "latency_ms": self.table.to_dict(),
        }

    def write(self, store: Store) -> None:
        """Write it as JSON and as a page for browsers into the folder of the batch."""
        write_json(store.folder / SUMMARY, self.to_dict(), indent=2)
        with atomic_write(store.folder / PAGE) as file:
            name = store.url or store.folder.absolute().name
            file.write_text(page(name, str(self), self.entries, self.table), encoding="utf-8")
        store.send([SUMMARY, PAGE])


def summary_of(manifest: Manifest) -> Summary:
    """The summary of all videos, from their reports."""
    table = LatencyTable()
    for report in manifest.store.reports(list(manifest.entries)).values():
        table.merge(LatencyTable.from_histograms(report["histograms"]))
    return Summary(tuple(manifest.entries.values()), table)
