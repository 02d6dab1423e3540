"""How a simulation is told: as JSON by the contract of the command line, or to people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from flasharb.evm import CallFrame, MissingState
from flasharb.simulation.arbitrage import Arbitrage
from flasharb.simulation.result import Executed, Log
from flasharb.simulation.revert_reason import revert_reason
from flasharb.simulation.swaps import Swap
from flasharb.units import WEI_PER_ETH, WEI_PER_GWEI, Address, checksum, hex0x

SHOWN_ACCOUNTS: Final = 12
_COLOURS: Final = {True: "green", False: "red"}


@dataclass(frozen=True, slots=True)
class Report:
    """One simulated transaction and what was made of it."""

    executed: Executed
    block_number: int
    index: int
    sender: Address
    called: Address | None
    swaps: tuple[Swap, ...]
    arbitrage: Arbitrage | None
    engine: str
    elapsed_ms: float
    origin: str
    unmeasured: MissingState | None


def report_json(report: Report) -> dict[str, Any]:
    """The object of ``simulate --json``."""
    executed = report.executed
    return {
        "tx_hash": None if executed.tx_hash is None else hex0x(executed.tx_hash),
        "block_number": report.block_number,
        "index": report.index,
        "status": executed.status,
        "gas_used": executed.gas_used,
        "effective_gas_price": executed.effective_gas_price,
        "output": hex0x(executed.output),
        "revert_reason": executed.revert_reason,
        "logs": [_log_json(log) for log in executed.logs],
        "balance_changes": {
            checksum(account): {
                "ETH" if token is None else checksum(token): str(change) for token, change in changes.items()
            }
            for account, changes in executed.balance_changes.items()
        },
        "swaps": [_swap_json(swap) for swap in report.swaps],
        "arbitrage": None if report.arbitrage is None else _arbitrage_json(report.arbitrage),
        "coinbase_payment": str(executed.coinbase_payment_wei),
        "engine": report.engine,
        "elapsed_ms": report.elapsed_ms,
    }


def _log_json(log: Log) -> dict[str, Any]:
    return {"address": checksum(log.address), "topics": [hex0x(one) for one in log.topics], "data": hex0x(log.data)}


def _swap_json(swap: Swap) -> dict[str, Any]:
    return {
        "pool": _pool(swap.pool),
        "protocol": swap.protocol,
        "token_in": None if swap.token_in is None else checksum(swap.token_in),
        "token_out": None if swap.token_out is None else checksum(swap.token_out),
        "amount_in": str(swap.amount_in),
        "amount_out": str(swap.amount_out),
    }


def _pool(pool: bytes) -> str:
    return checksum(pool) if len(pool) == 20 else hex0x(pool)


def _arbitrage_json(arbitrage: Arbitrage) -> dict[str, Any]:
    net = arbitrage.net_profit_wei
    return {
        "token": checksum(arbitrage.token),
        "gross_profit": str(arbitrage.gross_profit),
        "net_profit_wei": None if net is None else str(net),
        "path": [_pool(pool) for pool in arbitrage.path],
    }


def print_report(console: Console, report: Report) -> None:
    """The same for people."""
    for line in _lines(report):
        console.print(line, soft_wrap=True)


def _lines(report: Report) -> Iterator[str]:
    executed = report.executed
    what = "unsigned transaction" if executed.tx_hash is None else f"transaction {hex0x(executed.tx_hash)}"
    yield f"{what}: {'[green]success[/]' if executed.status else '[red]reverted[/]'}"
    if executed.revert_reason is not None:
        yield f"  reason    {escape(executed.revert_reason)}"
    yield f"  block     {report.block_number}, transaction {report.index}   ({escape(report.origin)})"
    yield f"  from      {checksum(report.sender)}"
    yield f"  to        {'a new contract' if report.called is None else checksum(report.called)}"
    price, fee = executed.effective_gas_price, executed.gas_used * executed.effective_gas_price
    yield f"  gas       {executed.gas_used:,} at {price / WEI_PER_GWEI:.9g} gwei = {_eth(fee)}"
    yield f"  coinbase  gained {_eth(executed.coinbase_payment_wei)}"
    yield f"  executed  in {report.elapsed_ms:.1f} ms by {report.engine}, {len(executed.logs)} logs"
    if report.swaps:
        yield "[bold]swaps[/]"
        for swap in report.swaps:
            yield f"  {swap.protocol} {_pool(swap.pool)}"
            yield f"    {swap.amount_in} of {_token(swap.token_in)} for {swap.amount_out} of {_token(swap.token_out)}"
    if report.arbitrage is not None:
        yield from _arbitrage_lines(report.arbitrage)
    if executed.balance_changes:
        yield from _balance_lines(report)


def _eth(wei: int) -> str:
    return f"{wei / WEI_PER_ETH:.9f} ETH"


def _token(token: Address | None) -> str:
    return "an unknown token" if token is None else checksum(token)


def _arbitrage_lines(arbitrage: Arbitrage) -> Iterator[str]:
    net = "not known (no price)" if arbitrage.net_profit_wei is None else _eth(arbitrage.net_profit_wei)
    yield f"[bold]arbitrage[/] over {len(arbitrage.path)} pools"
    yield f"  gross     {arbitrage.gross_profit} of {checksum(arbitrage.token)}"
    yield f"  net       {net} after gas and bid"


def _balance_lines(report: Report) -> Iterator[str]:
    changes = report.executed.balance_changes
    first = [account for account in (report.sender, report.called) if account is not None and account in changes]
    shown = list(dict.fromkeys([*first, *changes]))[:SHOWN_ACCOUNTS]
    left = len(changes) - len(shown)
    yield f"[bold]balance changes[/]{f' ({left} more accounts in --json)' if left else ''}"
    for account in shown:
        yield f"  {checksum(account)}"
        for token, change in changes[account].items():
            name = "wei" if token is None else f"of {checksum(token)}"
            yield f"    [{_COLOURS[change > 0]}]{change:+d}[/] {name}"


def call_tree(frame: CallFrame) -> Tree:
    """The message calls, one line each."""
    tree = Tree(_call_line(frame), guide_style="dim")
    _add_calls(tree, frame)
    return tree


def _add_calls(tree: Tree, frame: CallFrame) -> None:
    for call in frame.calls:
        _add_calls(tree.add(_call_line(call)), call)


def _call_line(frame: CallFrame) -> str:
    where = checksum(frame.address)
    if frame.code_address != frame.address:
        where = f"{checksum(frame.code_address)} as {where}"
    selector = f" 0x{frame.input[:4].hex()}" if frame.kind != "create" and frame.input else ""
    value = f" {_eth(frame.value)}" if frame.value and frame.kind != "delegatecall" else ""
    gas = f"[dim]gas {frame.gas_used:,} of {frame.gas:,}, {len(frame.logs)} logs[/]"
    line = f"{frame.kind} {where}{selector}{value} {gas}"
    reason = revert_reason(frame.output, frame.error)
    return line if reason is None else f"{line} [red]{escape(reason)}[/]"
