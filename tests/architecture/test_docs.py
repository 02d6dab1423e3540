"""What the documents point to is there, and no merge was left half done in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

FOLDERS = ("docs", "benchmarks", "fixtures")
PAGES = [REPOSITORY / "README.md", *sorted(page for name in FOLDERS for page in (REPOSITORY / name).rglob("*.md"))]
PATH = re.compile(r"\b(?:flasharb|tests|docs|benchmarks|fixtures|solidity|config)/[\w./-]*\w")
TEST = re.compile(r"\btest_[a-z0-9_]{20,}\b")
TESTS = "\n".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "tests").rglob("test_*.py"))

on_every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))


@on_every_page
def test_no_merge_is_left_half_done(page: Path) -> None:
    """No line of git's that marks the two sides of a conflict."""
    lines = page.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if re.match(r"(<{7}|>{7}) |={7}$", line)] == []


@on_every_page
def test_files_and_tests_that_a_page_names_are_there(page: Path) -> None:
    """Modules, tests, fixtures; from the root of the repository."""
    text = page.read_text(encoding="utf-8")
    assert [path for path in PATH.findall(text) if not (REPOSITORY / path).exists()] == []
    assert [name for name in TEST.findall(text) if f"def {name}(" not in TESTS] == []
