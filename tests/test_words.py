"""The project's own language: phrases that stand in the way of a reader are refused."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PHRASES = {
    "so-manyth": "every Nth",
    "so many": "a number",
    "of late": "recently",
    "whom": "a noun",
    "(?<!there )is none(?! of)": "is not one",
    "let go": "dropped, released",
    "anew": "again",
    "brings? along": "has, installs",
    "one's own": "your, its own",
    "somebody else's": "another person's",
}
FILES = sorted(
    path
    for pattern in (
        "hrpose_rt/**/*.py",
        "benchmarks/*.py",
        "samples/*.py",
        "docs/*.md",
        "models/*.md",
        "*.md",
    )
    for path in ROOT.glob(pattern)
)


@pytest.mark.parametrize("phrase", PHRASES)
def test_code_help_and_docs_are_free_of(phrase: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in FILES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(rf"\b{phrase}\b" if phrase[0].isalpha() else phrase, line)
    ]
    assert found == [], f"say it plainly: {PHRASES[phrase]}"
