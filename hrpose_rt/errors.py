"""What can go wrong, in words for the user: one sentence that says what and what to do."""

MAX_NUMBER = 10**9  # that a setting may be


class HrposeError(Exception):
    """An error whose message is written for the user."""

    exit_code = 2  # the command line's status: nothing was done

    def __str__(self) -> str:
        """The message, on one line: names of files may hold what moves a terminal's cursor."""
        text = super().__str__()
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class BadInput(HrposeError, ValueError):
    """An argument, a file or an array that cannot be used as it is."""


class RuntimeMissing(HrposeError):
    """A library that the chosen runtime needs is not installed, or does not load."""


class CheckpointMismatch(HrposeError):
    """A checkpoint does not hold the network it was opened as."""


class RunBroken(HrposeError):
    """A run stopped, or lost frames, after it had begun; what it wrote stays readable."""

    exit_code = 1


def last_line(error: BaseException) -> str:
    """What a library's error of several lines comes down to: its last line, without a full stop."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].strip().rstrip(".")
