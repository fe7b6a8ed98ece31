"""`make readme`: put the demo's latencies and image into README.md, so that no number is typed by hand."""

import json
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- latency: made by `make readme` -->", "<!-- end of latency -->"
ROWS = ("letterbox", "detect", "track", "crop", "pose", "heatmap", "other", "total", "age")


def main() -> None:
    report = json.loads((ROOT / "demo" / "report.json").read_text())
    readme = ROOT / "README.md"
    text = readme.read_text()
    block = f"{BEGIN}\n{latency_table(report)}\n{END}"
    readme.write_text(re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: block, text, flags=re.S))
    shutil.copy(ROOT / "demo" / "skeletons.png", ROOT / "samples" / "skeletons.png")


def latency_table(report: dict) -> str:
    bins = report["latency_ms"]
    features = ", ".join(report["cpu_features"])
    lines = [
        f"`make demo` on {report['threads']} cores of {report['cpu']} ({features}), "
        f"{report['runtime']} {report['precision']}, 720p:",
        "",
        "| people | " + " | ".join(bins) + " |",
        "|---|" + "---|" * len(bins),
        "| frames | " + " | ".join(str(rows["frames"]) for rows in bins.values()) + " |",
    ]
    for row in ROWS:
        cells = [f"{rows[row]['p50']:.1f} / {rows[row]['p95']:.1f}" for rows in bins.values()]
        name = f"**{row}**" if row == "total" else row
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
