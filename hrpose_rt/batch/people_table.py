"""All people of a batch as a table in Parquet: a file for each video, in folders that name their videos."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from hrpose_rt.paths import make_folder
from hrpose_rt.result import FrameResult
from hrpose_rt.run_info import RunInfo
from hrpose_rt.sinks.base import closed_error, write_error
from hrpose_rt.sinks.csv import person_columns
from hrpose_rt.skeleton import find_skeleton
from hrpose_rt.types import U8, Origin, SourceInfo

FILE = "people.parquet"  # of a video
TABLE = "people.parquet"  # the folder of all of them, which libraries read as one table
ROWS = 50_000  # people in memory before they are written


class ParquetSink:
    """One row per person and frame, with the columns of the CSV. Joints of people without a pose are null.

    The columns are `frame`, `time_s`, `id`, `x1`, `y1`, `x2`, `y2`, `score`, `from`, `fresh` and `age`,
    then x, y and score of each joint. The file's metadata has the source and the networks as JSON.

    Args:
        path: The file.
        info: The source.
        run: The networks.
    """

    wants_picture = False

    def __init__(self, path: Path, info: SourceInfo, run: RunInfo) -> None:
        from pyarrow import parquet

        self._path = path
        joints = find_skeleton(run.pose.skeleton).joints
        self._joints = len(joints)
        facts = {"source": info.name, "width": info.width, "height": info.height, "fps": info.fps}
        self._schema = _schema(joints, json.dumps(facts | run.to_dict()))
        self._columns: list[tuple[Any, ...]] = []
        self._rows = 0
        self._writer: Any = parquet.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, result: FrameResult, picture: U8) -> None:
        """See `Sink.write`."""
        if self._writer is None:
            raise closed_error(self._path)
        n, frame = len(result), result.frame
        poses = np.dstack([result.poses.keypoints, result.poses.scores.clip(0, 1)])
        self._columns.append(
            (
                np.full(n, frame.index),
                np.full(n, frame.time_s),
                result.track_ids,
                result.detections.boxes,
                result.detections.scores.clip(0, 1),
                result.detections.origin,
                result.poses.fresh,
                result.poses.age,
                poses.reshape(n, 3 * self._joints),
            )
        )
        self._rows += n
        if self._rows >= ROWS:
            self._flush()

    def _flush(self) -> None:
        """Write the rows in memory as a group of the file."""
        import pyarrow as pa

        if not self._rows:
            return
        frame, time_s, ids, boxes, scores, origin, fresh, age, poses = map(
            np.concatenate, zip(*self._columns, strict=True)
        )
        names = pa.array([one.name.lower() for one in Origin], pa.string())
        origins = pa.DictionaryArray.from_arrays(pa.array(origin, pa.int8()), names)
        columns = [frame, time_s, ids, *boxes.T, scores, origins, fresh, age]
        columns += [pa.array(column, mask=age < 0) for column in poses.T.astype(np.float32)]
        table = pa.table(columns, names=self._schema.names).cast(self._schema)
        try:
            self._writer.write_table(table)
        except OSError as error:
            raise write_error(self._path, error) from error
        self._columns, self._rows = [], 0

    def close(self) -> None:
        """See `Sink.close`."""
        if self._writer is None:
            return
        try:
            self._flush()
            self._writer.close()
        except OSError as error:
            raise write_error(self._path, error) from error
        finally:
            self._writer = None


def _schema(joints: tuple[str, ...], about: str) -> Any:
    import pyarrow as pa

    names = ["frame", "time_s", *person_columns(joints)]
    kinds = {"frame": pa.int64(), "time_s": pa.float64(), "id": pa.int64(), "age": pa.int32()}
    kinds |= {"from": pa.dictionary(pa.int8(), pa.string()), "fresh": pa.bool_()}
    fields = [(name, kinds.get(name, pa.float32())) for name in names]
    return pa.schema(fields, metadata={"hrpose": about})


def file_in_table(folder: Path, batch: Path, video: str) -> None:
    """Move the file of a video from its folder into the table of the batch; without one, drop an older one.

    >>> from hrpose_rt.batch.people_table import partition
    >>> partition("week1/cam=2")
    'video=week1%2Fcam%3D2'
    >>> partition("日本")  # quoted, it would be three times as long, and file systems have 255 bytes
    'video=日本'
    """
    target = batch / TABLE / partition(video) / FILE
    if (folder / FILE).exists():
        make_folder(target.parent)
        (folder / FILE).replace(target)
    elif target.exists():
        target.unlink()
        target.parent.rmdir()


def partition(video: str) -> str:
    """The folder of a video in the table, as Hive names it."""
    return "video=" + "".join(quote(one, safe=" ") if one.isascii() else one for one in video)
