"""The house's plan, enforced."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

MODULES = sorted((REPOSITORY / "flasharb").rglob("*.py"))


def test_the_import_contracts_hold() -> None:
    """Layers, purity below adapters, the EVM as a library of its own."""
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_no_globals_and_no_catch_all(path: Path) -> None:
    """No `global` statement and no `except Exception`: state is passed, errors are named."""
    source = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        assert not isinstance(node, ast.Global), f"{path}:{node.lineno} uses global"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{path}:{node.lineno} catches everything"
            names = {name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)}
            puts_things_right_and_passes_on = any(
                isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node)
            )
            has_its_reason = "noqa: BLE001 - " in source.splitlines()[node.lineno - 1]
            if not puts_things_right_and_passes_on and not has_its_reason:
                assert not names & {"Exception", "BaseException"}, f"{path}:{node.lineno} catches everything"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_module_says_what_it_is_for(path: Path) -> None:
    """A module with code has a docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))

    assert not tree.body or ast.get_docstring(tree), f"{path} has no docstring"
