"""Names that stand for several sources."""

from pathlib import Path

import pytest

from hrpose_rt.errors import BadInput
from hrpose_rt.streams.sources import expand


def test_a_pattern_stands_for_what_matches_in_order(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.mp4", "c.txt"):
        (tmp_path / name).touch()
    assert expand([f"{tmp_path}/*.mp4", "0"]) == [f"{tmp_path}/a.mp4", f"{tmp_path}/b.mp4", "0"]
    with pytest.raises(BadInput, match=r"nothing matches .*\*\.avi: check the pattern"):
        expand([f"{tmp_path}/*.avi"])


def test_a_file_whose_name_has_a_bracket_is_itself(tmp_path: Path) -> None:
    (tmp_path / "take[1].mp4").touch()
    assert expand([f"{tmp_path}/take[1].mp4"]) == [f"{tmp_path}/take[1].mp4"]


def test_an_address_is_no_pattern() -> None:
    assert expand(["http://a/b?c=d"]) == ["http://a/b?c=d"]


def test_a_list_has_a_source_a_line(tmp_path: Path) -> None:
    lines = tmp_path / "all.txt"
    lines.write_text("# mine\nfilm.mp4\n\nrtsp://camera/1\n2\n")
    assert expand([str(lines)]) == [f"{tmp_path}/film.mp4", "rtsp://camera/1", "2"]
    lines.write_text("# nothing\n")
    with pytest.raises(BadInput, match=r"all\.txt lists no sources: give one a line"):
        expand([str(lines)])
    lines.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match=r"all\.txt is no list of sources"):
        expand([str(lines)])
