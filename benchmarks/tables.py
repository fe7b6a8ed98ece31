"""Put the results in `benchmarks/results/` into the pages, so that no number is typed by hand.

    python benchmarks/tables.py

`crowd.json` is a report of `bench crowd`, `compare.json` of `bench compare`, `bounded*.json` of `bench
bounded`, `yolo_pose.json` of `yolo_pose.py`, `scale.json` of `scale.py`, `workers.json` of
`workers.py`, and `batch_seams.json` of `batch_seams.py`.
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from scale_page import scale_block, workers_block

from hrpose_rt.bench.report_text import (
    budget_rows,
    crowd_rows,
    id_sentences,
    jitter_sentence,
    markdown,
    ratio_rows,
    return_sentences,
    sentences,
)

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"
BEGIN, END = "<!-- results: made by benchmarks/tables.py -->", "<!-- end of results -->"
# The original experiment on its GTX 1080 Ti, in seconds: time of a frame, and of its worst frames.
ORIGINAL = {
    "1-5": ("0.15-0.17", "", 3),
    "5-10": ("0.20-0.25", "0.45-0.50", 8),
    "15-20": ("0.30-0.40", "0.60-0.70", 18),
    "50+": ("0.20-0.25, a handful of them found", "", 60),
}
W32 = "hrnet-w32 384x288 int8"


def load(name: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((RESULTS / name).read_text())
    return report


def machine(report: dict[str, Any]) -> str:
    facts = report if "cpu" in report else report["ways"]
    facts = facts if "cpu" in facts else next(iter(facts.values()))
    features = ", ".join(facts["cpu_features"])
    return f"{facts['threads']} cores of {facts['cpu']} ({features}), {report['created'][:10]}"


def crowd_page(crowd: dict[str, Any], compared: dict[str, Any]) -> str:
    """Every cell of the original's table beside its counterpart here."""
    table = [
        [
            *("people", "original, s", "its worst, s", "its loop on this CPU, s", "HRNet-W32 here, s"),
            *("embedded, s", "worst, s", "people found"),
        ]
    ]
    bins = {figures["original_label"]: figures for figures in crowd["bins"]}
    for label, (usual, worst, people) in ORIGINAL.items():
        lines = compared["ratios"][f"frame with {people} people"]
        loop = next(line for line in lines if line["ours"] == W32 and "original" in line["theirs"])
        figures = bins[label]
        total = figures["total_ms"]
        table.append(
            [
                *(label, usual, worst, f"{loop['theirs_ms'] / 1e3:.2f}", f"{loop['ours_ms'] / 1e3:.3f}"),
                f"{total['p50'] / 1e3:.3f}-{total['p95'] / 1e3:.3f}",
                *(f"{figures['worst_ms'] / 1e3:.3f}", f"{figures['found']:g} of {figures['present']:g}"),
            ]
        )
    back = next(iter(crowd["reappearance"].values()))
    fitted = next(iter(crowd["fit"].values()))
    counts = ", ".join(str(people) for _, _, people in ORIGINAL.values())
    empty, person = fitted["ms_of_an_empty_frame"], fitted["ms_a_person"]
    paragraphs = [
        "# Latency by people, beside the original experiment",
        markdown(table),
        "The original: HRNet-W32 at 384x288 and Faster R-CNN R50-FPN in PyTorch on a GTX 1080 Ti, as it "
        "reports itself. Its loop on this CPU is `benchmarks/baselines/original.py`; HRNet-W32 here is the "
        "same network at the same size in int8, with this project's detector, of the same boxes "
        f"({counts} people; random weights cost the same). Embedded: p50-p95 of the embedded models in "
        "composed scenes at 720p.",
        f"- Time growing with people: {empty:.1f} ms a frame and {person:.2f} ms a person found; with "
        "`--budget-ms` it does not grow, see [the benchmarks](../README.md).\n"
        f"- The leap when hidden people re-appear: such frames take {back['ratio_p50']:.2f} of those right "
        f"after them (p50; p95 {back['ratio_p95']:.2f}, {back['frames']} frames).\n"
        f"- Weak detection above fifty people: {bins['50+']['recall']:.2f} of those who can be seen are "
        "found, in crowds of 50 to 200.",
        f"On {machine(crowd)}.",
    ]
    text = "\n\n".join(paragraphs) + "\n"
    return text


def beside_yolo(report: dict[str, Any]) -> list[str]:
    """Accuracy and latency of the embedded networks beside a one-stage network, and what they mean."""
    theirs, scores, bins = report["theirs"], report["accuracy"], report["latency"]
    names = list(scores["ours"])
    head = ["", *names, *(f"{people} people, ms" for people in bins), *(f"found of {p}" for p in bins)]
    table = [head]
    for name, who in (("embedded networks", "ours"), (theirs, "theirs")):
        shown = [f"{scores[who][metric]:.3f}" for metric in names]
        shown += [f"{figures[f'{who}_ms']:.1f}" for figures in bins.values()]
        table.append([name, *shown, *(f"{figures[f'{who}_found']:.1f}" for figures in bins.values())])
    return [
        f"### Beside {theirs}",
        f"`benchmarks/yolo_pose.py` on {machine(report)}. Both run on OpenVINO, {theirs} in int8 at "
        f"640x640. AP is of {scores['images']} whole images of COCO val2017. Milliseconds are the p50 of a "
        "frame of six videos from memory to poses, by the number of people that the embedded networks "
        "find; theirs without tracking. `found` is the mean number of people at each one's default score.",
        markdown(table),
    ]


def seams_block(report: dict[str, Any]) -> str:
    """Whether people keep their ids at the cuts of a batch, beside the same moments of whole runs."""
    table = [["people", "cuts", "people with ids", "own id", "another's", "a new one", "whole run: own id"]]
    cut, whole = Counter[str](), Counter[str]()
    for people, counts in report["people"].items():
        here, there = Counter(counts["split"]), Counter(counts["whole"])
        cut += here
        whole += there
        found = [str(here[outcome]) for outcome in ("own", "wrong", "new")]
        row = [people, str(counts["cuts"]), str(here.total()), *found]
        table.append([*row, f"{there['own']} of {there.total()}"])
    return "\n\n".join(
        [
            f"`benchmarks/batch_seams.py` on {machine(report)}: scenes composed of people, with one cut "
            "each and with a detection on every frame. In every other scene, up to two fifths of the "
            "people are hidden at a time. The whole run shows how many ids change at such a moment anyway.",
            markdown(table),
            f"After a cut, {cut['own'] / cut.total():.0%} of the people have their own id, and "
            f"{whole['own'] / whole.total():.0%} in whole runs; {cut['wrong']} of {cut.total()} have "
            f"another person's, and {whole['wrong']} of {whole.total()} in whole runs.",
        ]
    )


def results_block() -> str:
    crowd, compared = load("crowd.json"), load("compare.json")
    parts = [
        "### By people",
        f"`hrpose-rt bench crowd` on {machine(crowd)}:",
        markdown(crowd_rows(crowd)),
        "\n".join(f"- {line}" for line in sentences(crowd)),
        "![Milliseconds a frame against people found, p50 and up to p95](results/latency.svg)",
        *beside_yolo(load("yolo_pose.json")),
        "### Against what others do",
        f"`hrpose-rt bench compare` on {machine(compared)}; weights {compared['weights']}:",
    ]
    for what, lines in compared["ratios"].items():
        parts += [f"{what[0].upper()}{what[1:]}:", markdown(ratio_rows(lines))]
    parts.append("### Under a budget")
    for path in sorted(RESULTS.glob("bounded*.json")):
        report = load(path.name)
        facts = report["ways"]
        what = f"{facts['models']['pose']} {facts['precision']}"
        parts.append(f"`hrpose-rt bench bounded`, {what}, on {machine(report)}:")
        parts.append(markdown(budget_rows(report["rows"])))
        if "random" in what:
            parts.append("Its weights are random: its times mean something, its poses nothing.")
        parts += id_sentences(report["rows"]) + return_sentences(report["rows"])
        if "jitter" in report:
            parts.append(jitter_sentence(report["jitter"]))
    return "\n\n".join(parts)


def scale_results() -> str:
    """What is in docs/scale.md."""
    return f"{scale_block(load('scale.json'))}\n\n{workers_block(load('workers.json'))}"


def main() -> None:
    (RESULTS / "crowd.md").write_text(crowd_page(load("crowd.json"), load("compare.json")))
    fill(FOLDER / "README.md", results_block())
    fill(FOLDER.parent / "docs" / "scale.md", scale_results())
    fill(FOLDER.parent / "docs" / "batch.md", seams_block(load("batch_seams.json")))


def fill(page: Path, block: str) -> None:
    """Replace what is between the marks of a page."""
    marked = f"{BEGIN}\n\n{block}\n\n{END}"
    text = re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: marked, page.read_text(), flags=re.S)
    page.write_text(text)


if __name__ == "__main__":
    main()
