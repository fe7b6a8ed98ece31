"""`make pictures`: the pictures of the documentation, in docs/pictures/.

    python docs/pictures.py [frame] [page] [terminal] [crowd] [pipeline] [angles] [scale]

Without names it makes all of them. They show the sample video of `make demo`. Frames are blurred until
nothing of the photos in them can be recognised.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from io import BytesIO
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np
from angle_drawing import draw_angles
from browser import find_browser, screenshot
from drawings import crowd_plot, pipeline_drawing, scale_plot
from PIL import Image
from rich.console import Console
from rich.text import Text
from tables import ORIGINAL, load

import hrpose_rt
from hrpose_rt.drawing.style import MIN_SCORE, DrawStyle
from hrpose_rt.sinks.web import WebView

ROOT = Path(__file__).parents[1]
DEMO, PICTURES = ROOT / "demo", ROOT / "docs" / "pictures"
VIDEO, REPORT = DEMO / "sample.mp4", DEMO / "report.json"

FRAME_WH = (960, 540)  # small, so that the writing in it stays readable on a page
BLUR_WH = (16, 9)  # the pixels that are left of a frame
BRIGHTNESS = 0.7  # of blurred frames, so that skeletons stand out
QUALITY = 88  # of JPEGs, which keep the colour of thin lines
COLUMNS = 100  # of the terminal
PAGE_WH = (1280, 760)
PAGE_S = 4.0  # that the browser watches before it takes the picture
# rich's own template loads a font from another host. At 21 pixels the lines of a table meet.
TERMINAL_SVG = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font: 21px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace }}
.{unique_id}-title {{ font: 16px system-ui, sans-serif }}
{styles}
</style>
<defs>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})">
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""


def main(names: list[str]) -> None:
    makers: dict[str, Callable[[], None]] = {
        "frame": make_frame,
        "terminal": make_terminal,
        "crowd": make_crowd,
        "pipeline": make_pipeline,
        "angles": lambda: draw_angles(PICTURES / "angles.svg"),
        "scale": lambda: scale_plot(load("scale.json"), PICTURES / "scale.svg"),
        "page": make_page,
    }
    if unknown := set(names) - set(makers):
        sys.exit(f"there is no picture {', '.join(unknown)}: choose from {', '.join(makers)}")
    if not VIDEO.exists():
        sys.exit(f"{VIDEO} is missing: run `make demo` first")
    PICTURES.mkdir(exist_ok=True)
    for name in names or makers:
        makers[name]()


def make_frame() -> None:
    """Draw the frame with the best poses as a run draws it, over a blurred frame."""
    result = best_frame()
    picture = blurred(result).draw(style=DrawStyle(panel=True))
    save_jpeg(Image.fromarray(picture[:, :, ::-1]), "frame.jpg")


def make_page() -> None:
    """Take a picture of the page of `--serve` while it shows the end of the sample video."""
    browser = find_browser()
    if browser is None:
        return print("docs/pictures/page.jpg stays as it is: there is no Chromium to take it with")
    with WebView() as view, ThreadPoolExecutor() as pool:
        panel = view.panel("", VIDEO.name)
        for result in sample_results():
            panel.write(blurred(result), result.frame.image)
        shot = pool.submit(screenshot, browser, view.url, PAGE_WH, PAGE_S)
        for result in cycle(sample_results()[-10:]):
            if shot.done():
                break
            panel.write(blurred(result), result.frame.image)
            time.sleep(0.04)
        save_jpeg(Image.open(BytesIO(shot.result())).convert("RGB"), "page.jpg")


def make_terminal() -> None:
    """Run the demo's command and draw what it prints. Its report is the demo's from then on."""
    words = ["run", VIDEO.name, "--save", "annotated.mp4", "--json", "poses.jsonl"]
    words += ["--report", REPORT.name, "--overwrite"]
    done = subprocess.run(
        [sys.executable, "-m", "hrpose_rt", *words],
        cwd=DEMO,
        env=os.environ | {"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS)},
        capture_output=True,
        text=True,
        check=True,
    )
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"))
    console.print(Text(f"$ hrpose-rt {' '.join(words)}", style="bold"))
    console.print(Text.from_ansi(done.stdout.rstrip()))
    svg = console.export_svg(title="hrpose-rt", code_format=TERMINAL_SVG, unique_id="terminal")
    (PICTURES / "terminal.svg").write_text(svg, encoding="utf-8")


def make_crowd() -> None:
    """Draw latency by people from the committed results."""
    crowd_plot(load("crowd.json"), load("compare.json"), ORIGINAL, PICTURES / "crowd.svg")


def make_pipeline() -> None:
    """Draw where the time of a frame goes, from the report of the demo."""
    drawing = pipeline_drawing(json.loads(REPORT.read_text()))
    (PICTURES / "pipeline.svg").write_text(drawing, encoding="utf-8")


def save_jpeg(picture: Image.Image, name: str) -> None:
    picture.save(PICTURES / name, quality=QUALITY, subsampling=0, optimize=True)


@cache
def sample_results() -> list[hrpose_rt.FrameResult]:
    """Every frame of the sample video, with the few pixels of its image that are shown."""
    results = []
    with hrpose_rt.PosePipeline() as pipeline, hrpose_rt.open_source(str(VIDEO)) as source:
        with pipeline.session(source.info.fps) as session:
            for frame in source:
                image = cv2.resize(frame.image, FRAME_WH, interpolation=cv2.INTER_AREA)
                result = session.process(replace(frame, image=image))
                pixels = cv2.resize(result.frame.image, BLUR_WH, interpolation=cv2.INTER_AREA)
                results.append(replace(result, frame=replace(result.frame, image=pixels)))
    return results


def best_frame() -> hrpose_rt.FrameResult:
    """The frame with the most complete poses, of those in which everyone has an id."""

    def rank(result: hrpose_rt.FrameResult) -> tuple[float, float]:
        scores = result.poses.scores
        return float((scores >= MIN_SCORE).mean(axis=1).min()), float(scores.mean())

    known = [result for result in sample_results() if len(result) and (result.track_ids >= 0).all()]
    return max(known, key=rank)


def blurred(result: hrpose_rt.FrameResult) -> hrpose_rt.FrameResult:
    """The result with its pixels enlarged to a dark, blurred frame."""
    image = cv2.resize(result.frame.image, FRAME_WH, interpolation=cv2.INTER_CUBIC)
    return replace(result, frame=replace(result.frame, image=(image * BRIGHTNESS).astype(np.uint8)))


if __name__ == "__main__":
    main(sys.argv[1:])
