"""What people read is whole."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
MARKERS = ("<<<<<<<", "|||||||", ">>>>>>>")


def test_no_document_holds_two_versions_of_a_passage() -> None:
    """A merge that was committed with its markers; code would not even run, prose just stands there."""
    documents = [path for place in (".", "docs", "benchmarks", "config") for path in (ROOT / place).glob("*.*")]
    documents += (ROOT / "docs").glob("*/*.md")
    texts = [path for path in documents if path.suffix in {".md", ".toml"}]
    assert ROOT / "docs/live.md" in texts
    torn = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in texts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if line.startswith(MARKERS)
    ]
    assert torn == []
