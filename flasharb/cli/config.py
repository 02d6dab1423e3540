"""``flasharb config``: the effective configuration with the source of each key, and all its errors at once."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import msgspec

from flasharb.cli.consistency import lacking, remarks
from flasharb.cli.loading import Loaded, environment_name, examine, independent, load_settings, settings_error
from flasharb.cli.redact import shown, shown_text
from flasharb.settings import Settings

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="TOML file; the default is config/flash_arbitrage.toml where it exists, else the embedded devnet.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")


@click.group(name="config", epilog="Example: flasharb config show")
def command() -> None:
    """Show the effective configuration, or check it."""


@command.command(epilog="Example: FLASHARB_STRATEGY_MAX_HOPS=2 flasharb config show")
@config_option
@json_option
def show(config_file: Path | None, as_json: bool) -> None:
    """Every key with its value and where that came from; keys and tokens appear as ***."""
    loaded = load_settings(config_file, os.environ)
    if as_json:
        click.echo(msgspec.json.encode(_as_json(loaded)))
        return
    for line in _lines(loaded):
        click.echo(line)


@command.command(epilog="Example: flasharb config check --live")
@config_option
@json_option
@click.option("--live", is_flag=True, help="Also say what `flasharb run --live` would lack.")
def check(config_file: Path | None, as_json: bool, live: bool) -> int:
    """All wrong keys at once, each with value, range and source. Exit code 2 when there are any."""
    loaded, problems = examine(config_file, os.environ)
    problems += independent(lacking(loaded.settings, os.environ, loaded.sources, live=live), problems)
    said = remarks(loaded.settings)
    if as_json:
        report = {"ok": not problems, "problems": [asdict(problem) for problem in problems], "remarks": said}
        click.echo(msgspec.json.encode(report))
        return 2 if problems else 0
    for remark in said:
        click.echo(f"note: {remark}")
    if problems:
        raise settings_error(problems)
    changed = sum(1 for source in loaded.sources.values() if source != "default")
    where = f"{loaded.file}, " if loaded.file else "no file, "
    click.echo(f"ok: {len(loaded.sources)} keys ({where}{changed} set, the others are defaults)")
    return 0


def _value(settings: Settings, key: str) -> Any:
    table, name = key.split(".")
    return getattr(getattr(settings, table), name)


def _as_json(loaded: Loaded) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, str):
            return shown_text(value)
        return [plain(item) for item in value] if isinstance(value, tuple) else value

    keys = {
        key: {
            "value": plain(_value(loaded.settings, key)),
            "source": source,
            "environment": environment_name(key),
        }
        for key, source in loaded.sources.items()
    }
    return {"file": str(loaded.file) if loaded.file else None, "keys": keys}


def _lines(loaded: Loaded) -> list[str]:
    rows = [(key, shown(_value(loaded.settings, key)), source) for key, source in loaded.sources.items()]
    width = max(len(f"{key.partition('.')[2]} = {value}") for key, value, _ in rows)
    lines: list[str] = []
    table = ""
    for key, value, source in rows:
        if not key.startswith(table + ".") or not table:
            table = key.partition(".")[0]
            lines += ([""] if lines else []) + [f"[{table}]"]
        setting = f"{key.partition('.')[2]} = {value}"
        lines.append(f"{setting:<{min(width, 60)}}  # {source}")
    return lines
