"""Find the video stream of a container and convert its decoded frames to images."""

import av
import numpy as np
from av.buffer import Buffer
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from hrpose_rt.types import U8

_NOT_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image


def find_video_stream(container: InputContainer) -> VideoStream | None:
    """The stream with the largest frames, covers and thumbnails last; None if there is no video.

    The other video streams, such as the other sizes of an HLS stream, are discarded from then on.
    """
    videos = [
        stream for stream in container.streams.video if stream.codec_context
    ]  # without it there is no decoder
    if not videos:
        return None
    best = max(videos, key=_rank)
    for other in container.streams.video:
        if other is not best:
            other.discard = Discard.all
    return best


def _rank(stream: VideoStream) -> tuple[bool, int, int, bool]:
    """A sort key: the best stream is last. `max` takes the first of equal streams."""
    shows = stream.disposition
    bits = stream.metadata.get("variant_bitrate", "")
    return (
        not shows & _NOT_VIDEO,
        stream.width * stream.height,
        int(bits) if bits.isdecimal() else 0,
        bool(shows & Disposition.default),
    )


def apply_rotation(frame: av.VideoFrame) -> U8:
    """Convert to a (H, W, 3) BGR image, rotated and mirrored by its metadata."""
    image = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
    a, b, c, d = _matrix(frame)
    if is_rotated(frame):
        image, flip_x, flip_y = image.transpose(1, 0, 2), c < 0, b < 0
    else:
        flip_x, flip_y = a < 0, d < 0
    image = image[:: -1 if flip_y else 1, :: -1 if flip_x else 1]
    return np.ascontiguousarray(image)


def is_rotated(frame: av.VideoFrame) -> bool:
    """Whether the frame is rotated by 90 or 270 degrees, so that rows become columns."""
    a, b, c, d = _matrix(frame)
    return abs(b) + abs(c) > abs(a) + abs(d)


def _matrix(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """a, b, c, d of QuickTime's display matrix. It maps (x, y) to (ax + cy, bx + dy), y down."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(data, Buffer):
        return 1, 0, 0, 1
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32, 5).tolist()
    return a, b, c, d
