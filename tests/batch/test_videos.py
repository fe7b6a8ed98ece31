"""Names become videos."""

import pytest

from hrpose_rt.batch.videos import Video, find_videos
from hrpose_rt.config import Clip
from hrpose_rt.errors import BadInput


def short(videos: list[Video]) -> list[tuple]:
    return [(video.label, video.start, video.end) for video in videos]


def test_folders_are_searched_with_those_in_them(tmp_path) -> None:
    for name in ("week1/cam2.mp4", "week1/cam10.mp4", "week2/cam2.mp4", ".hidden/a.mp4", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert short(find_videos([str(tmp_path)], Clip(5))) == [
        *(("week1_cam2", 5, None), ("week1_cam10", 5, None), ("week2_cam2", 5, None))
    ]
    pattern = str(tmp_path / "week1" / "*.mp4")
    assert short(find_videos([pattern])) == [
        ("cam2", 0, None),
        ("cam10", 0, None),
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("clips.csv", "source,start,end\na.mp4,1:30,2:00\na.mp4,,\n\nb.mp4,2,\n"),
        (
            "clips.jsonl",
            '{"source": "a.mp4", "start": "1:30", "end": 120}\n{"source": "a.mp4"}\n'
            '{"source": "b.mp4", "start": 2}\n',
        ),
    ],
)
def test_tables_have_sources_and_times(name, text, tmp_path) -> None:
    (tmp_path / name).write_text(text)
    videos = find_videos([str(tmp_path / name), str(tmp_path / name)], Clip(1))
    assert short(videos) == [("a", 90, 120), ("a", 1, None), ("b", 2, None)]
    assert videos[0].path == str(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "file\nx.mp4\n", "a.csv has no column source: its first line is source,start,end"),
        ("a.csv", "source,start\nx.mp4,soon\n", "line 2 of .*a.csv: soon is no time"),
        ("a.csv", "source,start,end\nx.mp4,5,2\n", "line 2 of .*nothing lies between"),
        ("a.csv", "source\n", "a.csv lists no videos"),
        ("a.csv", 'source\n"x.mp4\n' + "x" * 140_000, "line 2 of .*a.csv cannot be read .field larger"),
        ("a.jsonl", "[1]\n", "line 1 of .*a.jsonl is no object"),
        ("a.jsonl", "{\n", "line 1 of .*a.jsonl is no JSON"),
        ("a.jsonl", '{"source": "x", "speed": 1}\n', "speed means nothing here"),
    ],
)
def test_wrong_tables_are_named_with_their_line(name, text, words, tmp_path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match=words):
        find_videos([str(tmp_path / name)])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gone.mp4", "gone.mp4 does not exist"),
        ("rtsp://camera/1", "is no file: batch takes videos that have an end"),
        (".", "holds no videos"),
    ],
)
def test_names_that_are_no_videos_are_refused(name, words, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=words):
        find_videos([name])


def test_fingerprint_changes_with_size_and_both_ends(tmp_path) -> None:
    path = tmp_path / "a.mp4"
    seen = set()
    for content in (b"a" * 3_000_000, b"a" * 3_000_001, b"b" + b"a" * 2_999_999, b"a" * 2_999_999 + b"b"):
        path.write_bytes(content)
        seen.add(Video(str(path)).fingerprint())
    assert len(seen) == 4


def test_outputs_of_a_batch_are_no_videos_of_the_next_call(tmp_path) -> None:
    for name in ("a.mp4", "poses/manifest.jsonl", "poses/a/report.json", "poses/a/a.mp4", "poses/b/b.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    for source in (str(tmp_path), tmp_path.as_uri()):
        assert [video.label for video in find_videos([source])] == ["a", "poses_b_b"]


def test_names_that_no_manifest_can_hold_are_refused(tmp_path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "caf\udce9.mp4").touch()
    (tmp_path / "list.jsonl").write_text('{"source": "a\\u0000b.mp4"}')
    for name, words in (
        ("in", r"caf\\udce9.mp4 has a name that is no UTF-8"),
        ("list.jsonl", "does not exist"),
    ):
        with pytest.raises(BadInput, match=words):
            find_videos([str(tmp_path / name)])
