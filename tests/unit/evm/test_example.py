"""The documentation of the EVM as a library says what happens."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "evm.md"


def test_the_documented_example_runs_in_a_fresh_process_and_alone(tmp_path: Path) -> None:
    """It prints what the document says, and nothing of the package but ``flasharb.evm`` is imported."""
    example, printed = re.findall(r"```(?:python|text)\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[:2]
    script = tmp_path / "example.py"
    script.write_text(
        example + "\nimport sys\nprint(sorted(name for name in sys.modules if name.startswith('flasharb.')))"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True, cwd=tmp_path, env=dict(os.environ)
    )
    *said, modules = done.stdout.splitlines(keepends=True)
    assert "".join(said) == printed
    assert all(name.startswith("flasharb.evm") for name in eval(modules))
    assert len([line for line in example.splitlines() if line and not line.startswith((" ", ")"))]) <= 10
