"""What the documents point to is there, and no merge was left half done in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

FOLDERS = ("docs", "benchmarks", "fixtures")
PAGES = [REPOSITORY / "README.md", *sorted(page for name in FOLDERS for page in (REPOSITORY / name).rglob("*.md"))]
SETTINGS = [REPOSITORY / "pyproject.toml", *sorted((REPOSITORY / "config").glob("*.toml"))]
PATH = re.compile(r"\b(?:flasharb|tests|docs|benchmarks|fixtures|solidity|config)/[\w./-]*\w")
TEST = re.compile(r"\btest_[a-z0-9_]{20,}\b")
TESTS = "\n".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "tests").rglob("test_*.py"))


def on_every(pages: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", pages, ids=lambda page: str(page.relative_to(REPOSITORY)))


@on_every(PAGES + SETTINGS)
def test_no_merge_is_left_half_done(page: Path) -> None:
    """No line of git's that marks the sides of a conflict: code with one would not run, prose just stands there."""
    lines = page.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if re.match(r"<{7}|>{7}|[|]{7}|={7}$", line)] == []


def test_the_pages_are_found() -> None:
    assert REPOSITORY / "docs/live.md" in PAGES


@on_every(PAGES)
def test_files_and_tests_that_a_page_names_are_there(page: Path) -> None:
    """Modules, tests, fixtures; from the root of the repository."""
    text = page.read_text(encoding="utf-8")
    assert [path for path in PATH.findall(text) if not (REPOSITORY / path).exists()] == []
    assert [name for name in TEST.findall(text) if f"def {name}(" not in TESTS] == []
