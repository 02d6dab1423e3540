"""``flasharb simulate``: re-execute one transaction and say what it did."""

from __future__ import annotations

import os
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import click
import msgspec

from flasharb.adapters.code_cache import keep_code
from flasharb.adapters.node import Node, open_node
from flasharb.adapters.node_opinion import node_opinion
from flasharb.cli import trio_main
from flasharb.cli.console import Console
from flasharb.cli.data_dir import data_directory
from flasharb.cli.loading import load_settings
from flasharb.cli.places import Place, in_file, in_recorded_runs, on_node, recorded_wrapped_native, sender_and_target
from flasharb.cli.simulation_view import Report, call_tree, print_report, report_json
from flasharb.cli.transaction_argument import Wanted, parse_wanted
from flasharb.errors import FlasharbError, UsageError
from flasharb.evm import InvalidTransaction
from flasharb.evm.machine import SHARED_COMPILER
from flasharb.settings import Settings
from flasharb.simulation.arbitrage import classify
from flasharb.simulation.measure import pairs_of
from flasharb.simulation.opinion import Case, unconfirmed
from flasharb.simulation.result import Executed, Simulation
from flasharb.simulation.revm import revm_objection
from flasharb.simulation.simulate import Options, Run
from flasharb.simulation.swaps import read_swaps
from flasharb.units import Hash32

_PIPE_WIDTH: Final = 240


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asks for."""

    wanted: Wanted
    fork_file: Path | None
    rpc_url: str | None
    alone: bool
    engine: str
    trace: bool


@click.command(
    name="simulate",
    epilog="Example: flasharb simulate 0xf31dc4… --fork 13217637.json.gz --trace   (a hash has 64 digits)",
)
@click.argument("tx", metavar="TX")
@click.option("--fork", "fork_file", type=click.Path(path_type=Path), help="Recorded block that holds the transaction.")
@click.option("--rpc", "rpc_url", metavar="URL", help="Node with the transaction and the state of its parent block.")
@click.option("--alone", is_flag=True, help="Run it on the parent state, without the transactions before it.")
@click.option(
    "--engine",
    type=click.Choice(["py-evm", "stock", "both"]),
    default="py-evm",
    show_default=True,
    help="Ours, py-evm unchanged, or ours and a second opinion: simulation.second_opinion, py-evm where that is none.",
)
@click.option("--trace", is_flag=True, help="Show the call tree.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def command(
    tx: str, fork_file: Path | None, rpc_url: str | None, alone: bool, engine: str, trace: bool, as_json: bool
) -> int:
    """Execute a transaction where it stood in its block, and say what it did.

    TX is a transaction hash, a signed transaction (0x…), or a JSON file with the fields of an unsigned one ("from",
    "to", "data", "value", …; "create" puts fresh accounts in place first). A hash is looked up in --fork or --rpc,
    else among the blocks of the last runs, else in fixtures/. A transaction that is in no block runs after the
    transactions of the recorded block, or on the node's head.

    Exit code 0: it succeeded; 1: it reverted, cannot run there, or the engines disagree; 2: it is unknown; 3: state is
    missing, or the node failed.
    """
    if fork_file is not None and rpc_url is not None:
        raise UsageError("--fork and --rpc exclude each other")
    settings = load_settings(None, os.environ).settings
    keep_code(SHARED_COMPILER, os.environ)
    wish = Wish(parse_wanted(tx), fork_file, rpc_url, alone, engine, trace)
    report, difference = trio_main.run(_simulate, wish, settings)
    console = Console(stderr=as_json, highlight=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    if as_json:
        click.echo(msgspec.json.encode(report_json(report)))
    else:
        print_report(console, report)
    if trace and report.executed.trace is not None:
        console.print(call_tree(report.executed.trace), no_wrap=True, overflow="ignore", crop=False)
    if report.unmeasured is not None:
        click.echo(f"note: some balances could not be measured: {report.unmeasured}", err=True)
    if difference is not None:
        click.echo(f"THE SECOND OPINION DOES NOT CONFIRM THIS: {difference}", err=True)
        return 1
    return 0 if report.executed.status else 1


async def _simulate(wish: Wish, settings: Settings) -> tuple[Report, str | None]:
    async with AsyncExitStack() as stack:
        node = None
        url = wish.rpc_url or (_opinion_url(settings) if wish.engine == "both" else None)
        if url is not None:
            timeout_s, batch_size = settings.node.request_timeout_s, settings.node.batch_size
            node = await stack.enter_async_context(open_node(url, timeout_s=timeout_s, batch_size=batch_size))
        if wish.rpc_url is not None:
            assert node is not None
            place = await on_node(node, wish.wanted, wish.alone, settings)
        elif wish.fork_file is not None:
            place = in_file(wish.fork_file, wish.wanted, wish.alone)
        else:
            place = in_recorded_runs(data_directory(settings), wish.wanted, wish.alone)
        return await _report(place, wish, settings, node)


def _opinion_url(settings: Settings) -> str | None:
    if settings.simulation.second_opinion != "node":
        return None
    if not settings.node.url:
        raise UsageError("simulation.second_opinion = node: which one? Give --rpc URL or set node.url")
    return settings.node.url


async def _report(place: Place, wish: Wish, settings: Settings, node: Node | None) -> tuple[Report, str | None]:
    options = Options(trace=True)
    run, simulation, elapsed_s = await _timed(place, options)
    told = partial(_told, place, wish, settings)
    if wish.engine == "py-evm":
        return told(run, simulation, elapsed_s), None
    # Only our engine can look back at balances: the others must know beforehand whose to measure.
    ours = simulation.transactions[0]
    pairs = tuple(pair for pair in pairs_of(ours.logs) if pair[1] in ours.balance_changes.get(pair[0], {}))
    if wish.engine == "both" and settings.simulation.second_opinion != "none":
        case = Case(place.transaction, place.context, place.fork, run.state_before(), pairs, place.before)
        if settings.simulation.second_opinion == "revm":
            objection = revm_objection(ours, case)
        else:
            assert node is not None
            objection = unconfirmed(ours, case, await node_opinion(node, Hash32(place.context.parent_hash), case))
        return told(run, simulation, elapsed_s), None if objection is None else objection.detail
    stock = replace(options, engine="stock", measure=pairs)
    second_run, second, second_s = await _timed(place, stock)
    if wish.engine == "stock":
        return told(second_run, second, second_s), None
    return told(run, simulation, elapsed_s), _difference(ours, second.transactions[0])


async def _timed(place: Place, options: Options) -> tuple[Run, Simulation, float]:
    started = time.perf_counter()
    try:
        run, simulation = await place.simulate(options)
    except InvalidTransaction as error:
        raise FlasharbError(f"the transaction cannot run there: {error}") from None
    return run, simulation, time.perf_counter() - started


def _difference(ours: Executed, stock: Executed) -> str | None:
    for name in (
        "status",
        "gas_used",
        "output",
        "logs",
        "balance_changes",
        "coinbase_payment_wei",
        "contract_address",
    ):
        mine, other = getattr(ours, name), getattr(stock, name)
        if mine != other:
            return f"{name}: ours {mine!r:.500}, py-evm {other!r:.500}"
    return None


def _told(place: Place, wish: Wish, settings: Settings, run: Run, simulation: Simulation, elapsed_s: float) -> Report:
    executed = simulation.transactions[0]
    sender, called = sender_and_target(place.transaction)
    swaps = read_swaps(executed.logs, run.ask, place.context.chain_id, executed.trace)
    wrapped_native = recorded_wrapped_native(settings, place.context.chain_id)
    return Report(
        executed=executed,
        block_number=place.context.number,
        index=place.index,
        sender=sender,
        called=called,
        swaps=swaps,
        arbitrage=classify(executed, swaps, sender, called, place.context.base_fee_per_gas, wrapped_native),
        engine=wish.engine,
        elapsed_ms=round(elapsed_s * 1000, 3),
        origin=place.origin,
        unmeasured=simulation.unmeasured,
    )
