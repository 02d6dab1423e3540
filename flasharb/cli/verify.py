"""``flasharb verify``: re-execute recorded blocks and compare with their headers."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import click
import msgspec
from rich.markup import escape

from flasharb.adapters.blockfile import read_block
from flasharb.adapters.code_cache import keep_code
from flasharb.cli.console import Console
from flasharb.errors import UsageError
from flasharb.evm.machine import SHARED_COMPILER
from flasharb.simulation.quotes import Quotes, check_quotes
from flasharb.simulation.recorded import RecordedBlock
from flasharb.simulation.simulate import Engine
from flasharb.simulation.verify import Verification, verify
from flasharb.units import hex0x

_SHOWN_MISMATCHES = 10


@click.command(name="verify", epilog="Example: flasharb verify blocks/*.json.gz --engine stock")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--engine",
    type=click.Choice(["py-evm", "stock"]),
    default="py-evm",
    show_default=True,
    help="Ours, or py-evm unchanged.",
)
@click.option("--quotes", "with_quotes", is_flag=True, help="Also quote every swap from the state before it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def command(files: tuple[Path, ...], engine: str, with_quotes: bool, as_json: bool) -> int:
    """Re-execute recorded blocks; compare gas used, receipts root and logs bloom with the header.

    Gas, status, price and logs of every transaction are compared with the recorded receipts as well. With --quotes,
    each swap event is held against our own quote. Exit code 1 when a block does not verify or a quote differs, 2 when
    a file is damaged.
    """
    console = Console(stderr=as_json, highlight=False)
    keep_code(SHARED_COMPILER, os.environ)
    reports = []
    damaged: UsageError | None = None
    for path in files:
        try:
            block = read_block(path)
        except UsageError as error:
            console.print(f"[red]{escape(str(error))}[/]", soft_wrap=True)
            damaged = damaged or error
            continue
        started = time.perf_counter()
        answer = verify(block, cast(Engine, engine))
        elapsed_s = time.perf_counter() - started
        # A block that does not run has no state to quote from.
        quotes = check_quotes(block) if with_quotes and answer.ok else None
        reports.append(_report(path, block, answer, quotes, elapsed_s))
        for line in (*_lines(path, block, answer, elapsed_s), *_quote_lines(quotes)):
            console.print(line, soft_wrap=True)
    ok = damaged is None and all(report["ok"] for report in reports)
    if as_json:
        click.echo(msgspec.json.encode({"ok": ok, "files": reports}))
    else:
        for line in _totals(reports):
            console.print(line, soft_wrap=True)
        verified = sum(report["ok"] for report in reports)
        # Speed times time is the gas again; the reports round both, which is far below what is shown.
        seconds = sum(report["elapsed_ms"] for report in reports) / 1000
        mgas = sum(report["mgas_per_s"] * report["elapsed_ms"] for report in reports) / 1000
        speed = f": {mgas:.1f} Mgas in {seconds:.1f} s ({mgas / seconds:.1f} Mgas/s)" if seconds else ""
        console.print(f"{verified} of {len(files)} recorded blocks verified ({engine}){speed}", soft_wrap=True)
    if damaged is not None:
        raise UsageError(f"damaged file: {damaged}")
    return 0 if ok else 1


def _report(
    path: Path, block: RecordedBlock, answer: Verification, quotes: Quotes | None, elapsed_s: float
) -> dict[str, Any]:
    return {
        "file": str(path),
        "block_number": block.number,
        "fork": str(block.fork),
        "transactions": len(block.transactions),
        "ok": answer.ok and not (quotes is not None and quotes.differences),
        "gas_used_ok": answer.gas_used_ok,
        "receipts_root_ok": answer.receipts_root_ok,
        "logs_bloom_ok": answer.logs_bloom_ok,
        "mismatches": [asdict(mismatch) for mismatch in answer.mismatches],
        "elapsed_ms": round(elapsed_s * 1000, 3),
        "mgas_per_s": round(answer.gas_used / elapsed_s / 1e6, 3),
        "quotes": None if quotes is None else {name: asdict(tally) for name, tally in quotes.by_protocol.items()},
    }


def _lines(path: Path, block: RecordedBlock, answer: Verification, elapsed_s: float) -> Iterator[str]:
    verdict = "[green]ok[/]    " if answer.ok else "[red]differs[/]"
    speed = answer.gas_used / elapsed_s / 1e6
    yield (
        f"{verdict} block {block.number} ({block.fork}): {len(block.transactions)} transactions, "
        f"{answer.gas_used / 1e6:.2f} Mgas in {elapsed_s:.2f} s ({speed:.1f} Mgas/s)  {escape(path.name)}"
    )
    for mismatch in answer.mismatches[:_SHOWN_MISMATCHES]:
        where = "block" if mismatch.index is None else f"transaction {mismatch.index}"
        expected, got = escape(_short(mismatch.expected)), escape(_short(mismatch.got))
        yield f"        {where}, {mismatch.field}: expected {expected}, got {got}"
    if len(answer.mismatches) > _SHOWN_MISMATCHES:
        yield f"        and {len(answer.mismatches) - _SHOWN_MISMATCHES} more"


def _quote_lines(quotes: Quotes | None) -> Iterator[str]:
    if quotes is None:
        return
    for one in quotes.differences:
        yield (
            f"        transaction {one.index}, {one.protocol} {hex0x(one.pool)}: {one.amount_in} in gave "
            f"{one.amount_out}, quoted {one.quoted}"
        )
    for reason, count in quotes.reasons.items():
        yield f"        {count} swaps not judged: {escape(reason)}"


def _totals(reports: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The quotes of all files together, a line a protocol."""
    totals: dict[str, dict[str, int]] = {}
    for report in reports:
        for name, tally in (report["quotes"] or {}).items():
            total = totals.setdefault(name, dict.fromkeys(tally, 0))
            for key, count in tally.items():
                total[key] += count
    for name, total in sorted(totals.items()):
        parts = [f"{count} {key.replace('_', ' ')}" for key, count in total.items() if key != "swaps" and count]
        yield f"quotes  {name:<16}{total['swaps']:>5} swaps: {', '.join(parts)}"


def _short(text: str) -> str:
    return text if len(text) <= 160 else text[:157] + "..."
