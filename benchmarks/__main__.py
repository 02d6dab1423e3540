"""Run ``benchmarks/bench_*.py`` and print their rows.

Each module has ``rows()``; a row is ``{"case", "value", "unit", "peer", "peer_value", "ratio"}``, where ``ratio`` > 1
means that ours is better than ``peer`` (rows without a peer have nulls).
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
from itertools import chain
from pathlib import Path
from typing import Any

os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

import click
from rich.console import Console
from rich.table import Table

NAMES = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))

GROUPS = {
    "pools": ("pools", "pools_kept", "curve", "balancer", "quotes", "quoted"),
    "search": ("search", "updates", "sizing"),
}
"""Names that stand for several modules: the quotes of all protocols, and all that a search does."""


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
    }


def show(name: str, rows: list[dict[str, Any]], console: Console) -> None:
    """Print one benchmark as a table."""
    table = Table(title=f"{name} (Python {machine()['python']}, {machine()['cores']} cores)", title_justify="left")
    for heading in ("case", "value", "unit", "peer", "peer value", "ratio"):
        table.add_column(heading, justify="left" if heading in ("case", "unit", "peer") else "right")
    for row in rows:
        figures = (row["value"], row["peer_value"], row["ratio"])
        value, peer_value, ratio = ("" if figure is None else f"{figure:,.4g}" for figure in figures)
        table.add_row(row["case"], value, row["unit"], row["peer"] or "", peer_value, ratio)
    console.print(table)


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a benchmark, a line each.")
def main(names: tuple[str, ...], as_json: bool) -> None:
    """Measure NAMES (default: all)."""
    console = Console(width=140 if not sys.stdout.isatty() else None)
    for name in chain.from_iterable(GROUPS.get(name, (name,)) for name in names) if names else NAMES:
        rows = importlib.import_module(f"benchmarks.bench_{name}").rows()
        if as_json:
            click.echo(json.dumps({"name": name, "machine": machine(), "rows": rows}))
        else:
            show(name, rows, console)


if __name__ == "__main__":
    main()
