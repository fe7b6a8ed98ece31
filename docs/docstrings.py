"""An extension of griffe: the docstrings' two habits that its parser does not read become what it reads."""

import re
from typing import Any

import griffe

SHARED = re.compile(r"^( +)(\w+), (\w+): (.*(?:\n\1 +.*)*)", re.M)  # "width, height: Pixels."
FLAGS = re.compile(r" *# doctest: .*")
EXAMPLE = re.compile(r"^ *>>> .*\n?(?:^.*\S.*\n?)*", re.M)  # up to an empty line, with the output


class Docstrings(griffe.Extension):
    """Give each of two fields its own line, and mark examples as code."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            text = FLAGS.sub("", obj.docstring.value)
            text = SHARED.sub(r"\1\2: \4\n\1\3: \4", text)
            obj.docstring.value = EXAMPLE.sub(lambda lines: f"```pycon\n{lines[0].rstrip()}\n```\n", text)
