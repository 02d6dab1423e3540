"""The end of a run: what it did, and whether the chain agrees."""

from __future__ import annotations

from typing import Any, Final

from rich.console import Console
from rich.table import Table

from flasharb.cli.view import eth, figure_lines
from flasharb.execution.realised import Holdings
from flasharb.service.figures import Figures, Latencies
from flasharb.service.serve import Result
from flasharb.units import checksum, hex0x

SHOWN_BUNDLES: Final = 20


def summary_records(figures: Figures, result: Result) -> list[dict[str, Any]]:
    """The last lines of ``run --json``: the balances, then the summary with the keys of the contract."""
    return [balances_record(figures, result), summary_record(figures)]


def summary_record(figures: Figures) -> dict[str, Any]:
    """``{"event": "summary", …}``; amounts are decimal strings, times milliseconds (null without a sample)."""
    return {
        "event": "summary",
        "blocks": figures.blocks,
        "bus_messages": figures.bus_messages,
        "opportunities": figures.opportunities,
        "simulated": figures.simulated,
        "rejected": dict(figures.rejected),
        "bundles_submitted": figures.bundles_submitted,
        "bundles_included": figures.bundles_included,
        "net_profit_wei": str(figures.net_profit_wei),
        "latency_ms": {
            "bus_to_opportunity": _percentiles(figures.bus_to_opportunity),
            "bus_to_bundle": _percentiles(figures.bus_to_bundle),
        },
    }


def balances_record(figures: Figures, result: Result) -> dict[str, Any]:
    """What the executor held before and after, and whether the growth is the net profit."""
    return {
        "event": "balances",
        "contract": checksum(result.contract),
        "sender": checksum(result.sender),
        "before": _balances(result.before),
        "after": _balances(result.after),
        "growth_wei": str(result.growth_wei),
        "equals_net_profit": result.growth_wei == figures.net_profit_wei,
    }


def _balances(held: Holdings) -> dict[str, Any]:
    return {
        "block_number": held.block_number,
        "contract_base_token": str(held.contract_token),
        "contract_eth": str(held.contract_wei),
        "sender_eth": str(held.sender_wei),
    }


def _percentiles(latencies: Latencies) -> dict[str, float | None]:
    return {"p50": latencies.percentile(0.5), "p99": latencies.percentile(0.99)}


def print_summary(console: Console, figures: Figures, result: Result, seconds: float) -> None:
    """The same for people."""
    console.print(f"\n[bold]{figures.blocks} blocks in {seconds:.1f} s[/bold]")
    for line in figure_lines(figures):
        console.print(line, highlight=False)
    if result.included:
        console.print("\n[bold]included bundles[/bold]")
        for one in list(result.included)[-SHOWN_BUNDLES:]:
            brought = f"{eth(one.net_profit_wei)} ETH net, gas {one.gas_used}"
            line = f"  block {one.block_number}  {hex0x(one.tx_hash)}  {brought}"
            console.print(line, highlight=False, soft_wrap=True)
    console.print(_balance_table(result.before, result.after))
    _print_verdict(console, figures, result.growth_wei)
    if result.included and result.replayable:
        tx_hash = hex0x(result.included[-1].tx_hash)
        console.print(f"look into one: ./just simulate {tx_hash}", highlight=False, soft_wrap=True)


def _print_verdict(console: Console, figures: Figures, growth_wei: int) -> None:
    if growth_wei == figures.net_profit_wei:
        console.print(f"net profit {growth_wei} wei: the balances grew by exactly that", style="bold", highlight=False)
    else:
        console.print(
            f"THE BALANCES GREW BY {growth_wei} WEI, BUT THE NET PROFIT OF THE LANDED TRANSACTIONS IS "
            f"{figures.net_profit_wei} WEI: another transaction moved them, or a bundle was not accounted for",
            style="bold red",
            highlight=False,
        )


def _balance_table(before: Holdings, after: Holdings) -> Table:
    table = Table(box=None, pad_edge=False, title="the executor's balances in wei", title_justify="left")
    table.add_column("")
    for when in (before, after):
        table.add_column(f"after block {when.block_number}", justify="right")
    table.add_column("change", justify="right")
    rows = (
        ("WETH of FlashArb", before.contract_token, after.contract_token),
        ("ETH of FlashArb", before.contract_wei, after.contract_wei),
        ("ETH of the signer", before.sender_wei, after.sender_wei),
        ("together", before.total_wei, after.total_wei),
    )
    for name, old, new in rows:
        table.add_row(name, str(old), str(new), f"{new - old:+d}")
    return table
