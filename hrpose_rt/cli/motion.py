"""`hrpose-rt motion`: filtered keypoints, angles and speeds from a finished run."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hrpose_rt.cli import options
from hrpose_rt.cli.outputs import check_free
from hrpose_rt.console import say
from hrpose_rt.errors import BadInput, RuntimeMissing, install_hint
from hrpose_rt.kinematics import opensim, tables
from hrpose_rt.kinematics.angles import LEFT, MIN_SCORE, RIGHT
from hrpose_rt.kinematics.filters import FILTERS, Smoothing
from hrpose_rt.kinematics.motion import Motion, measure
from hrpose_rt.kinematics.recording import Recording, chosen, read_recording, rewrite
from hrpose_rt.kinematics.scale import Ground, Height, body_height_px, parse_scale
from hrpose_rt.paths import atomic_write, make_folder

FACING = {"auto": 0, "right": RIGHT, "left": LEFT}
Writers = dict[str, Callable[[Path], None]]  # by the names of the files
DEFAULT = Smoothing()


def motion(
    poses: Annotated[Path, typer.Argument(help="JSON lines that run --json wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A folder for the files.")],
    ids: Annotated[str, typer.Option(help="Only these people, such as 0,3. Default: all.")] = "",
    min_length: Annotated[
        float, typer.Option(help="Leave out people who are there for fewer seconds.")
    ] = 1.0,
    filter: Annotated[
        str, typer.Option(help=f"{', '.join(FILTERS[:-1])} or {FILTERS[-1]}.")
    ] = DEFAULT.filter,
    cutoff: Annotated[
        float, typer.Option(help="Hertz of butterworth, and of one-euro at rest.")
    ] = DEFAULT.cutoff,
    order: Annotated[int, typer.Option(help="Order of butterworth, both passes together.")] = DEFAULT.order,
    beta: Annotated[
        float, typer.Option(help="Hertz that one-euro adds per body height per second.")
    ] = DEFAULT.beta,
    window: Annotated[int, typer.Option(help="Frames of the median.")] = DEFAULT.window,
    fill: Annotated[
        float, typer.Option(help="Fill gaps of up to this many seconds; 0 fills none.")
    ] = DEFAULT.fill_s,
    kpt_score: Annotated[
        float, typer.Option(help="Keypoints that score less are unknown, 0..1.")
    ] = MIN_SCORE,
    scale: Annotated[
        str,
        typer.Option(help="height=METRES of the first person, or a .json file with points of the ground."),
    ] = "",
    facing: Annotated[
        str, typer.Option(help="Where people face in the picture: auto, right or left.")
    ] = "auto",
    skeleton: Annotated[
        str, typer.Option(help="The .toml or .json file of joints that are not built in.")
    ] = "",
    c3d: Annotated[bool, typer.Option("--c3d", help="Also write C3D files; this needs a height.")] = False,
    plot: Annotated[bool, typer.Option("--plot", help="Also draw the angles of each person.")] = False,
    overwrite: options.Overwrite = False,
    debug: options.Debug = False,
) -> None:
    """Filter the keypoints of a finished run, and measure angles, speeds and metres."""
    smoothing = Smoothing(filter, cutoff, order, beta, window, fill)
    if facing not in FACING:
        raise BadInput(f"--facing {facing}: choose {' or '.join(FACING)}")
    if not 0 <= kpt_score <= 1:
        raise BadInput(f"--kpt-score is within 0..1, not {kpt_score:g}")
    ruler = parse_scale(scale) if scale else None
    if c3d and not isinstance(ruler, Height):
        raise BadInput("--c3d holds metres: add --scale height=METRES")
    for library, wanted, option in (("ezc3d", c3d, "--c3d"), ("matplotlib", plot, "--plot")):
        if wanted and find_spec(library) is None:
            raise RuntimeMissing(f"{option} needs {library}: {install_hint('motion')}")
    with Console(stderr=True).status(f"reading {poses}") as status:
        recording = read_recording(poses, kpt_score, skeleton)
        tracks = chosen(recording, _parse_ids(ids), min_length)
        ground = ruler if isinstance(ruler, Ground) else None
        motions = []
        for track in tracks:
            status.update(f"filtering person {track.id} of {len(tracks)} people")
            motions.append(measure(track, recording.skeleton, smoothing, FACING[facing], ground))
    metres_per_px = _metres_per_px(motions, ruler) if isinstance(ruler, Height) else None
    writers = _tables(poses, motions, metres_per_px)
    for each in motions:
        writers |= _files_of(each, recording, metres_per_px, c3d, plot)
    for name in writers:
        check_free(output / name, overwrite, [str(poses)])
    _write(output, writers)
    if metres_per_px is None:
        say("no TRC files: they hold metres, and --scale height=METRES gives them")
    people = ", ".join(str(track.id) for track in tracks)
    print(f"{len(writers)} files in {output}; people: {people}")


def _parse_ids(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if strange := [part for part in parts if not part.isdecimal()]:
        raise BadInput(f"--ids {text}: {strange[0]} is no id, give numbers such as 0,3")
    return tuple(int(part) for part in parts)


def _metres_per_px(motions: list[Motion], height: Height) -> float:
    """The scale by the first person; prints it."""
    first = motions[0]
    pixels = body_height_px(first.keypoints, first.skeleton)
    if not pixels > 0:
        raise BadInput(
            f"person {first.track.id} is never seen from head to ankles: name another first in --ids, or "
            "give --scale points of the ground"
        )
    say(
        f"person {first.track.id} is {pixels:.0f} pixels tall, so a pixel is {height.metres / pixels:.5f} m"
    )
    return height.metres / pixels


def _tables(poses: Path, motions: list[Motion], metres_per_px: float | None) -> Writers:
    filtered = {
        (int(frame), each.track.id): xy
        for each in motions
        for frame, xy in zip(each.track.frames, each.keypoints, strict=True)
    }
    return {
        "poses.jsonl": lambda path: rewrite(poses, path, filtered),
        "poses.csv": lambda path: tables.write_poses(path, motions),
        "angles.csv": lambda path: tables.write_angles(path, motions),
        "speeds.csv": lambda path: tables.write_speeds(path, motions, metres_per_px),
    }


def _files_of(
    each: Motion, recording: Recording, metres_per_px: float | None, c3d: bool, plot: bool
) -> Writers:
    """The files of one person."""
    stem = f"person-{each.track.id}"
    writers: Writers = {f"{stem}.mot": lambda path: opensim.write_mot(path, each)}
    if metres_per_px is not None:
        names, places = opensim.markers(each, metres_per_px, recording.height)
        writers[f"{stem}.trc"] = lambda path: opensim.write_trc(path, each, names, places)
        if c3d:
            writers[f"{stem}.c3d"] = lambda path: opensim.write_c3d(path, each, names, places)
    if plot:
        from hrpose_rt.kinematics.plots import save_angle_plot

        writers[f"{stem}.png"] = lambda path: save_angle_plot(path, each)
    return writers


def _write(folder: Path, writers: Writers) -> None:
    """Write each file whole or not at all."""
    make_folder(folder)
    with Console(stderr=True).status("writing") as status:
        for name, write in writers.items():
            status.update(f"writing {folder / name}")
            with atomic_write(folder / name) as file:
                write(file)
