"""``flasharb doctor``: is everything that a run needs there, and if not, what mends it."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import click
import msgspec
import trio

from flasharb.cli.checks import Finding, examine_all
from flasharb.cli.config import config_option, json_option
from flasharb.cli.data_dir import data_directory
from flasharb.cli.loading import load_settings
from flasharb.cli.logs import set_up_logging


@click.command(name="doctor", epilog="Example: flasharb doctor --config mainnet.toml")
@config_option
@json_option
def command(config_file: Path | None, as_json: bool) -> int:
    """Check node, bus, contract, key, relays, clock and disk: one line each, with the mend.

    Exit code 0 when all are well, 1 when one is not, 2 when the configuration is wrong.
    """
    settings = load_settings(config_file, os.environ).settings
    set_up_logging("error")
    findings = trio.run(examine_all, settings, os.environ, data_directory(settings))
    ok = all(finding.ok for finding in findings)
    if as_json:
        click.echo(msgspec.json.encode({"ok": ok, "checks": [asdict(finding) for finding in findings]}))
    else:
        for finding in findings:
            click.echo(line(finding))
    return 0 if ok else 1


def line(finding: Finding) -> str:
    """One finding on one line."""
    mend = f"  → {finding.mend}" if finding.mend else ""
    return f"{'ok  ' if finding.ok else 'FAIL'} {finding.name:<9} {finding.detail}{mend}"
