"""``flasharb backtest``: the live detection, sizing and simulation over recorded blocks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import msgspec
from rich.markup import escape

from flasharb.adapters.blockfile import read_block
from flasharb.cli.backtest_json import backtest_json, summary_json
from flasharb.cli.backtest_report import write_report
from flasharb.cli.console import Console
from flasharb.cli.loading import load_settings
from flasharb.cli.places import recorded_wrapped_native
from flasharb.cli.view import eth
from flasharb.errors import FlasharbError, UsageError
from flasharb.evm import InvalidTransaction, MissingState
from flasharb.settings import Settings, balancer_vault, v4_manager
from flasharb.simulation.backtest import Backtest, Ours, RealArbitrage, Terms, backtest
from flasharb.simulation.recorded import RecordedBlock
from flasharb.units import ZERO_ADDRESS, Address, address, hex0x


@click.command(name="backtest", epilog="Example: flasharb backtest blocks/ --html report.html")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("--html", "html_file", type=click.Path(dir_okay=False, path_type=Path), help="Write a report page.")
@click.option("--base", "bases", multiple=True, metavar="ADDRESS", help="Base token [default: wrapped ether].")
@click.option(
    "--max-hops",
    type=click.IntRange(2, 8),
    default=4,
    show_default=True,
    help="Pools in a cycle; of more than 4 the best cycles.",
)
@click.option("--evm-quotes", is_flag=True, help="Also pools that nobody has modelled, quoted by running them.")
def command(
    paths: tuple[Path, ...],
    as_json: bool,
    html_file: Path | None,
    bases: tuple[str, ...],
    max_hops: int,
    evm_quotes: bool,
) -> int:
    """Search recorded blocks as the service would: before each real arbitrage, and at the end of each block.

    PATH is a recorded block or a folder of them. Each real arbitrage is found, or gets the reason why not. Cycles are
    sized without limits or thresholds and the best of them tried through FlashArb on the state of that moment; net
    profit is after gas at the block's base fee, before any bid. Exit code 0 whatever was found.
    """
    settings = load_settings(None, os.environ).settings
    console = Console(stderr=as_json, highlight=False)
    results = []
    for path in block_files(paths):
        block = read_block(path)
        results.append(_run(path, block, _terms(block, settings, _addresses(bases), max_hops, evm_quotes)))
        for line in _lines(results[-1]):
            console.print(line, soft_wrap=True)
    if html_file is not None:
        write_report(html_file, results)
        console.print(f"report: {escape(str(html_file))}", soft_wrap=True)
    if as_json:
        click.echo(msgspec.json.encode(backtest_json(results)))
    else:
        summary = summary_json(results)
        ratio = summary["profit_ratio"]
        console.print(
            f"{summary['found']} of {summary['arbitrages']} real arbitrages found, {summary['supported']} supported"
            + ("" if ratio is None else f"; our profit on these is {ratio:.6f} of theirs"),
            soft_wrap=True,
        )
    return 0


def block_files(paths: tuple[Path, ...]) -> list[Path]:
    """The recorded blocks that the arguments name, each once.

    Raises:
        UsageError: a folder without any.
    """
    found: dict[Path, None] = {}
    for path in paths:
        files = sorted(path.glob("*.json.gz")) if path.is_dir() else [path]
        if not files:
            raise UsageError(f"no recorded block (*.json.gz) in {path}")
        found.update(dict.fromkeys(files))
    return list(found)


def _addresses(texts: tuple[str, ...]) -> tuple[Address, ...]:
    try:
        return tuple(address(text) for text in texts)
    except ValueError as error:
        raise UsageError(f"--base: {error}") from None


def _terms(
    block: RecordedBlock, settings: Settings, bases: tuple[Address, ...], max_hops: int, evm_quotes: bool
) -> Terms:
    native = recorded_wrapped_native(settings, block.chain_id)
    there = replace(settings, chain=replace(settings.chain, id=block.chain_id))
    vault, manager = balancer_vault(there) or ZERO_ADDRESS, v4_manager(there) or ZERO_ADDRESS
    return Terms(bases or (native,), native, vault, manager, max_hops, evm_quotes=evm_quotes)


def _run(path: Path, block: RecordedBlock, terms: Terms) -> Backtest:
    try:
        return backtest(block, terms)
    except (MissingState, InvalidTransaction) as error:
        raise FlasharbError(f"{path}: the block cannot be replayed from this file: {error}") from None


def _lines(result: Backtest) -> Iterator[str]:
    yield f"[bold]block {result.number}[/]  {result.pools} pools" + "".join(
        f", {count} {escape(reason)}" for reason, count in result.unusable.items()
    )
    for one in result.arbitrages:
        yield f"  {_verdict(one)}  transaction {one.index} {hex0x(one.tx_hash)}"
        yield f"    theirs {eth(one.gross_profit)}  {_ours(one.ours)}"
        if one.detail:
            yield f"    {escape(one.detail)}"
    last = result.moments[-1]
    for ours in last.ours:
        yield f"  at the end: {_ours(ours)}"


def _verdict(one: RealArbitrage) -> str:
    return "[green]found [/]" if one.found else f"[yellow]missed[/] ({one.missed})"


def _ours(ours: Ours | None) -> str:
    if ours is None:
        return "ours none"
    path = " > ".join(hop.protocol for hop in ours.trade.hops)
    net = "" if ours.net_profit_wei is None else f", net {eth(ours.net_profit_wei)}"
    tried = "simulated" if ours.simulated else f"not simulated: {escape(ours.refused or '')}"
    return f"ours {eth(ours.trade.gross_profit)}{net} ({path}; {tried}){_split(ours.split)}"


def _split(split: Ours | None) -> str:
    if split is None:
        return ""
    net = "" if split.net_profit_wei is None else f", net {eth(split.net_profit_wei)}"
    tried = "simulated" if split.simulated else f"not simulated: {escape(split.refused or '')}"
    return f"; split over {len(split.trade.paths)} cycles {eth(split.trade.gross_profit)}{net} ({tried})"
