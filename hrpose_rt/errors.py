"""The project's errors. Each message tells the user, in one sentence, what is wrong and what to do."""

MAX_NUMBER = 10**9  # the largest value of a numeric setting


class HrposeError(Exception):
    """An error whose message is written for the user."""

    exit_code = 2  # exit status of the command line: nothing was done

    def __str__(self) -> str:
        """The message on one line; control characters of file names are escaped."""
        text = super().__str__()
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class BadInput(HrposeError, ValueError):
    """An argument, a file or an array that cannot be used as it is."""


class RuntimeMissing(HrposeError):
    """A library that the chosen runtime needs is not installed or does not load."""


class CheckpointMismatch(HrposeError):
    """A checkpoint holds another network than expected."""


class RunBroken(HrposeError):
    """A run stopped or lost frames after it had begun; its output stays readable."""

    exit_code = 1


def last_line(error: BaseException) -> str:
    """The last line of a library's multi-line error, without a full stop."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1].strip().rstrip(".")
