"""The tables of docs/scale.md, made of `results/workers.json` and `results/scale.json`."""

from typing import Any

from hrpose_rt.bench.report_text import markdown


def workers_block(report: dict[str, Any]) -> str:
    """What several workers on one machine gain."""
    rates, ratio = report["videos_a_minute"], report["ratio"]
    machine = f"{report['threads']} cores of {report['cpu']} ({', '.join(report['cpu_features'])})"
    rows = [["workers", "threads of each", "videos a minute"]]
    rows += [[n, str(report["threads"] // int(n)), f"{rate:g}"] for n, rate in rates.items()]
    return "\n\n".join(
        [
            "### Workers on one machine",
            f"`benchmarks/workers.py`: `batch` on {report['clips']} clips with {report['frames']} frames "
            f"together, on {machine}, with the start of the workers:",
            markdown(rows),
            f"A worker for each core is {ratio['median']:.2f} times as fast "
            f"({min(ratio['rounds']):.2f} to {max(ratio['rounds']):.2f}).",
        ]
    )


def scale_block(report: dict[str, Any]) -> str:
    """What the simulation found, as paragraphs and tables."""
    assumed, capacity = report["assumed"], report["capacity"]
    machine = f"{report['threads']} cores of {report['cpu']} ({', '.join(report['cpu_features'])})"
    shares = ", ".join(f"{share:.0%} {crowd}" for crowd, share in assumed["shares"].items())
    people = [[crowd, str(cameras)] for crowd, cameras in capacity["by_people"].items()]
    return "\n\n".join(
        [
            f"`benchmarks/scale.py` with the frame costs of {machine}. A server or "
            "a worker is one such machine. The costs are measured; everything about more than one "
            "machine is simulated.",
            "### One server",
            f"Cameras of {assumed['camera_fps']} frames a second on one server, with the p99 of the "
            f"age within {assumed['age_limit_ms']:g} ms and at most {assumed['dropped_limit']:.1%} of the "
            "frames dropped:",
            markdown([["people in a frame", "cameras"], *people]),
            "A GPU is only computed: if both networks cost nothing, the other stages take "
            f"{capacity['rest_ms']:.1f} ms of a frame with {assumed['camera_people']} people, and "
            f"their time is full with {capacity['computed_without_networks']} cameras.",
            "### Cameras on many servers",
            f"Cameras with {assumed['camera_people']} people. One server is lost; its cameras move to the "
            f"others after {assumed['cameras_move_after_s']:g} s. `missed` counts the frames until then.",
            markdown(_camera_rows(report)),
            "### An archive on many workers",
            f"{assumed['archive_hours']} hours of video at {assumed['archive_fps']} frames a second. Parts "
            f"by people: {shares}. "
            f"A worker fails every {assumed['hours_between_failures']:g} hours on average, returns after "
            f"{assumed['worker_returns_s']:g} s, and its part is done again.",
            markdown(_archive_rows(report)),
        ]
    )


def _camera_rows(report: dict[str, Any]) -> list[list[str]]:
    head = ["servers filled to", "cameras", "servers", "age p50, ms", "p99", "missed"]
    rows = [[*head, "p99 after the loss", "dropped after it"]]
    for row in report["cameras"]:
        before, after = row["before"], row["after"]
        lost = ["all", "", ""]
        if after:
            lost = [str(row["missed"]), f"{after['p99_ms']:.0f}", f"{after['dropped']:.2%}"]
        ages = [f"{before['p50_ms']:.0f}", f"{before['p99_ms']:.0f}"]
        rows.append([f"{row['fill']:.0%}", f"{row['cameras']:,}", f"{row['servers']:,}", *ages, *lost])
    return rows


def _archive_rows(report: dict[str, Any]) -> list[list[str]]:
    rows = [["minutes a part", "workers", "hours", "speed-up", "hours with failures", "work done twice"]]
    for row in report["archive"]:
        if row["workers"] in (1, 10, 100, 1000):
            hours = f"{row['failing_took_s'] / 3600:.2f}"
            counts = [str(row["part_minutes"]), f"{row['workers']:,}", f"{row['hours']:.2f}"]
            rows.append([*counts, f"{row['speed_up']:.0f}", hours, f"{row['lost_share']:.2%}"])
    return rows
