"""The end of a run: what it did, and whether the chain agrees."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from rich.console import Console

from flasharb.cli.view import eth, figure_lines
from flasharb.execution.realised import Holdings, net_profit_wei
from flasharb.service.figures import Arbitrages, Figures, Latencies
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
        "arbitrages": _arbitrages(figures.arbitrages),
        "curtailed": figures.curtailed,
    }


def _arbitrages(arbitrages: Arbitrages) -> dict[str, Any]:
    return {
        "blocks": arbitrages.blocks,
        "seen": arbitrages.seen,
        "found": arbitrages.found,
        "ours": arbitrages.ours,
        "missed": dict(arbitrages.missed),
        "untold": arbitrages.untold,
        "unaccounted": dict(arbitrages.unaccounted),
    }


def balances_record(figures: Figures, result: Result) -> dict[str, Any]:
    """What the executor held before and after, and whether the growth is the net profit; null where nobody knows."""
    growth = result.growth_wei
    return {
        "event": "balances",
        "contract": checksum(result.contract),
        "sender": checksum(result.sender),
        "before": _balances(result.before),
        "after": None if result.after is None else _balances(result.after),
        "growth_wei": None if growth is None else str(growth),
        "equals_net_profit": None if growth is None else growth == figures.net_profit_wei,
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
    """The same for people, in 80 columns; a longer line is never cut."""
    say = partial(console.print, highlight=False, soft_wrap=True)
    say(f"\n[bold]{figures.blocks} blocks in {seconds:.1f} s[/bold]")
    for line in figure_lines(figures):
        say(line)
    if result.included:
        say("\n[bold]included bundles[/bold]")
        for one in list(result.included)[-SHOWN_BUNDLES:]:
            say(f"  block {one.block_number}, gas {one.gas_used}, net profit {eth(one.net_profit_wei)} ETH")
            say(f"    {hex0x(one.tx_hash)}")
    if result.after is None:
        say("\nthe node does not tell the balances after the run: they are not compared", style="bold red")
    else:
        say("\n[bold]the executor's balances in wei[/bold]")
        for line in _balance_lines(result.before, result.after):
            say(line)
        _print_verdict(console, figures, net_profit_wei(result.before, result.after))
    if result.included and result.replayable:
        say(f"\nlook into one:\n./just simulate {hex0x(result.included[-1].tx_hash)}")


def _print_verdict(console: Console, figures: Figures, growth_wei: int) -> None:
    if growth_wei == figures.net_profit_wei:
        console.print(f"net profit {growth_wei} wei\nThe balances grew by exactly that.", style="bold", highlight=False)
    else:
        console.print(
            f"THE BALANCES GREW BY {growth_wei} WEI, BUT THE NET PROFIT OF THE LANDED TRANSACTIONS IS "
            f"{figures.net_profit_wei} WEI: another transaction moved them, or a bundle was not accounted for",
            style="bold red",
            highlight=False,
            soft_wrap=True,
        )


def _balance_lines(before: Holdings, after: Holdings) -> Iterator[str]:
    """Three lines an account: numbers of 26 digits side by side would not fit."""
    accounts = (
        ("WETH of FlashArb", before.contract_token, after.contract_token),
        ("ETH of FlashArb", before.contract_wei, after.contract_wei),
        ("ETH of the signer", before.sender_wei, after.sender_wei),
        ("together", before.total_wei, after.total_wei),
    )
    stations = (f"after block {before.block_number}", f"after block {after.block_number}", "change")
    width = max(map(len, stations))
    digits = max(len(f"{one:+d}") for _, old, new in accounts for one in (old, new, new - old))
    for name, old, new in accounts:
        for station, amount in zip(stations, (str(old), str(new), f"{new - old:+d}"), strict=True):
            yield f"  {name:<18}{station:<{width}}  {amount:>{digits}}"
            name = ""
