"""The project's errors. Each message tells the user, in one sentence, what is wrong and what to do."""

MAX_NUMBER = 10**9  # the largest value of a numeric setting


class HrposeError(Exception):
    """An error whose message is written for the user.

    >>> from hrpose_rt import HrposeError, stream
    >>> try:
    ...     results = list(stream("missing.mp4"))
    ... except HrposeError as error:
    ...     print(error)
    missing.mp4 does not exist: check the path
    """

    exit_code = 2  # exit status of the command line: nothing was done

    def __str__(self) -> str:
        """The message on one line; control characters of file names are escaped."""
        text = super().__str__()
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class BadInput(HrposeError, ValueError):
    """An argument, a file or an array that cannot be used as it is.

    >>> from hrpose_rt import BadInput, Settings
    >>> try:
    ...     settings = Settings(tracker="sort")
    ... except BadInput as error:
    ...     print(error)
    there is no `tracker` sort: choose flow or ocsort or bytetrack

    It is a `ValueError`, too.
    """


class RuntimeMissing(HrposeError):
    """A library that the chosen runtime needs is not installed or does not load.

    Use Intel's NPU if there is one:

    >>> from hrpose_rt import PosePipeline, RuntimeMissing, Settings
    >>> settings = Settings(device="npu")
    >>> try:
    ...     PosePipeline(settings).close()
    ... except RuntimeMissing:
    ...     settings = Settings(device="cpu")
    """


class CheckpointMismatch(HrposeError):
    """A checkpoint holds another network than expected."""


class RunBroken(HrposeError):
    """A run stopped or lost frames after it had begun; its output stays readable.

    The error comes after the last frame. Here, one of two images is damaged:

    >>> from hrpose_rt import RunBroken, open_source
    >>> try:
    ...     with open_source("photos") as source:
    ...         for frame in source:
    ...             print(frame.file_name)
    ... except RunBroken as error:
    ...     print(error)
    1.jpg
    2.jpg cannot be read as images and were left out (it is empty, damaged or none): replace them
    """

    exit_code = 1


def no_frames(source: str) -> RunBroken:
    """The error for a clip of a source in which there is no frame."""
    return RunBroken(f"{source} has no frame in this clip: change `start`, `end` or `stride`")


def install_hint(extra: str) -> str:
    """How an extra of this package is installed, for messages about a missing library.

    The package is on no index, so pip takes it from the folder with its source. With `-e` the
    checkpoints in that folder, which a wheel lacks, are found, too.
    """
    return f"pip install -e '.[{extra}]' in the checkout"


def last_line(error: BaseException) -> str:
    """The last line of a library's multi-line error, without a full stop."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].strip().rstrip(".")
