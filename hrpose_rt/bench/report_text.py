"""Reports as tables and sentences."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hrpose_rt.bench.report import Report
from hrpose_rt.paths import atomic_write, write_json
from hrpose_rt.types import STAGES


def crowd_rows(report: Report) -> list[list[str]]:
    """The bins of a report as a table, header first."""
    table = [["way", "people", "there", "found", "recall", "p50 ms", "95%", "p90", "p95", "worst", "fps"]]
    for metrics in report["bins"]:
        total = metrics["total_ms"]
        low, high = total["p50_95%"]
        recall = metrics["recall"]
        table.append(
            [
                *(metrics["way"], metrics["bin"]),
                *("" if recall is None else f"{metrics['present']:g}", f"{metrics['found']:g}"),
                *("" if recall is None else f"{recall:.2f}", f"{total['p50']:.1f}"),
                *(f"{low:.1f}-{high:.1f}", f"{total['p90']:.1f}", f"{total['p95']:.1f}"),
                *(f"{metrics['worst_ms']:.1f}", f"{metrics['frames_a_second']:.1f}"),
            ]
        )
    return table if len(report["ways"]) > 1 else [line[1:] for line in table]


def sentences(report: Report) -> list[str]:
    """The results that the table does not show, one sentence per line."""
    lines = [f"Refused: {report['refused']}."] if report.get("refused") else []
    for variant, info in report["ways"].items():
        line = report["fit"][variant]
        knees = "".join(f", {knee['ms_a_person']:.2f} from {knee['people']:g} on" for knee in line["knees"])
        lines.append(
            f"{variant}: {line['ms_of_an_empty_frame']:.1f} ms a frame and {line['ms_a_person']:.2f} ms a "
            f"person found{knees}."
        )
        reappearance = report["reappearance"][variant]
        if reappearance["frames"]:
            lines.append(
                f"{variant}: the {reappearance['frames']} frames in which hidden people came back took "
                f"{reappearance['ratio_p50']:.2f} of those after them (p50; p95 "
                f"{reappearance['ratio_p95']:.2f})."
            )
        lines.append(
            f"{variant}: stages add up to {report['stages_over_plain'][variant]:.3f} of the plain run."
        )
        lines.append(
            f"{variant}: {info['models']['pose']} {info['input']} {info['precision']} by "
            f"{info['runtime']} on {info['threads']} cores of {info['cpu']} "
            f"({', '.join(info['cpu_features'])})."
        )
    busy = [f"{cell['way']}, {cell['scene']}" for cell in report["cells"] if cell["busy"]]
    if busy:
        lines.append(f"The machine was busy with something else during: {'; '.join(busy)}.")
    return lines


def markdown(table: Sequence[Sequence[str]]) -> str:
    """A table, header first, in Markdown."""
    head, *body = table
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def save(report: Report, folder: Path) -> list[Path]:
    """Write report.json, report.md and, if matplotlib is installed, the plots; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "report.json", folder / "report.md"]
    write_json(files[0], report, indent=1)
    stages = [["way", "people", *STAGES]] + [
        [bin["way"], bin["bin"], *(f"{bin['stages_ms'][name]['p50']:.2f}" for name in STAGES)]
        for bin in report["bins"]
    ]
    text = [f"# Latency by people, {report['created'][:10]}", markdown(crowd_rows(report))]
    text += ["\n\n".join(sentences(report)), "Stages, p50 in ms:", markdown(stages)]
    with atomic_write(files[1]) as file:
        file.write_text("\n\n".join(text) + "\n")
    return files


def budget_rows(rows: list[dict[str, Any]]) -> list[list[str]]:
    """Budget measurements as a table, header first."""
    times = ["free p50", "bounded p50", "p95", "of budget"]
    lines = [["crowd", "found", *times, "OKS", "no pose", "pose age p95", "own id", "wrong id"]]
    for row in rows:
        ids = row.get("ids", {}).get("bounded", {})
        lines.append(
            [
                row["scene"] + (f", scene {row['seed']}" if row.get("seed") else ""),
                *(f"{row['found']:g}", f"{row['free_ms']['p50']:.1f}"),
                *(f"{row['bounded_ms']['p50']:.1f}", f"{row['bounded_ms']['p95']:.1f}"),
                *(f"{row['p95_over_budget']:.2f}", "" if row["oks"] is None else f"{row['oks']:.3f}"),
                f"{row['without_counterpart']:.2f}",
                f"{row['pose_age']['p95']:g}" if row["pose_age"] else "",
                *(f"{ids[key]:.2f}" if ids else "" for key in ("own_id", "wrong_id")),
            ]
        )
    return lines


def id_sentences(rows: list[dict[str, Any]]) -> list[str]:
    """Ids of the people who came back, over all scenes, with a budget and without."""
    known, lines = [row["ids"] for row in rows if "ids" in row], []
    for variant, how in (("bounded", "under the budget"), ("free", "without one")):
        returned = sum(ids[variant]["came_back"] for ids in known)
        if returned:
            own, wrong = (
                sum(ids[variant][key] * ids[variant]["came_back"] for ids in known) / returned
                for key in ("own_id", "wrong_id")
            )
            lines.append(
                f"Of {returned} people who came back from behind a curtain {how}, {own:.3f} had their own "
                f"id again and {wrong:.3f} another person's."
            )
    return lines


def return_sentences(rows: list[dict[str, Any]]) -> list[str]:
    """Latency of the frames on which many people return, compared with the frames right after."""
    returns = [r for row in rows if (r := row.get("reappearance", {})).get("frames")]
    if not returns:
        return []
    ratios, count = [r["ratio"] for r in returns], sum(r["frames"] for r in returns)
    span = f"{min(ratios):.2f} to {max(ratios):.2f} times" if len(returns) > 1 else f"{ratios[0]:.2f} times"
    middle = f", in the middle {np.median(ratios):.2f}" if len(returns) > 1 else ""
    return [
        f"Frames in which five or more come back ({count}, scenes: {len(returns)}) have {span} the p95 of "
        f"those right after them{middle}."
    ]


def jitter_sentence(jitter: dict[str, Any]) -> str:
    """The jitter measurement in one sentence."""
    steps = [
        f"{metrics['mean']:.4f} {name} (p95 {metrics['p95']:.4f})"
        for name in ("estimated", "filtered")
        if (metrics := jitter[name])["mean"] is not None
    ]
    what = " and ".join(steps) or "no joint was sure enough to tell"
    return (
        f"Joints of {jitter['people']} people who stand still, under noise of {jitter['noise']:g} grey "
        f"levels, step from frame to frame, in body heights: {what}."
    )


def ratio_rows(lines: list[dict[str, Any]]) -> list[list[str]]:
    """Ratios as a table, header first."""
    table = [["ours", "ms", "theirs", "ms", "ratio", "95%"]]
    for line in lines:
        low, high = line["95%"]
        table.append(
            [
                *(line["ours"], f"{line['ours_ms']:.1f}", line["theirs"], f"{line['theirs_ms']:.1f}"),
                *(f"{line['ratio']:.2f}", f"{low:.2f}-{high:.2f}"),
            ]
        )
    return table
