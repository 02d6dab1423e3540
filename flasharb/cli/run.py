"""``flasharb run``: the service. Without a configuration it starts the embedded devnet and trades there."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
import trio
from rich.console import Console

from flasharb.adapters.journal import Journal
from flasharb.cli.consistency import lacking
from flasharb.cli.data_dir import data_directory
from flasharb.cli.embedded import EmbeddedDevnet, embedded_devnet
from flasharb.cli.loading import load_settings, settings_error
from flasharb.cli.logs import set_up_logging
from flasharb.cli.output import Output
from flasharb.cli.summary import print_summary, summary_records
from flasharb.cli.trio_main import run
from flasharb.cli.view import JsonView, LiveView, PlainView, View
from flasharb.errors import NodeError, OutsideError, UsageError
from flasharb.service.figures import Figures
from flasharb.service.preflight import Plan
from flasharb.service.serve import Result, serve
from flasharb.settings import DEVNET_CHAIN_ID, Settings
from flasharb.units import Hash32

CUT_SHORT: Final = 130
"""Exit code after a second signal."""


@click.command(name="run", epilog="Example: flasharb run --blocks 20")
@click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="TOML file; the default is config/flash_arbitrage.toml where it exists, else the embedded devnet.",
)
@click.option("--blocks", type=click.IntRange(min=1), help="Stop in order after this many blocks.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line; the last one is the summary.")
@click.option("--live", is_flag=True, help="Send bundles on a chain other than the embedded devnet.")
def command(config_file: Path | None, blocks: int | None, as_json: bool, live: bool) -> int:
    """Watch the market, simulate what pays, send bundles; Ctrl-C stops in order.

    Without --live nothing is sent, except on the embedded devnet, whose money is worth nothing.
    """
    loaded = load_settings(config_file, os.environ)
    set_up_logging(loaded.settings.logging.level)
    if problems := lacking(loaded.settings, os.environ, loaded.sources, live=live):
        raise settings_error(problems)
    if live and not loaded.settings.node.url:
        raise UsageError(
            "--live is for a chain of your own: set node.url (on the embedded devnet bundles go out anyway)"
        )
    try:
        return run(_main, loaded.settings, Options(blocks, as_json, live))
    except NodeError as error:
        raise OutsideError(f"{error}\n  {_mend(loaded.settings)}") from None


def _mend(settings: Settings) -> str:
    if settings.node.url:
        return "start the node, or correct node.url; `flasharb doctor` looks at everything that a run needs"
    return "this is the embedded devnet: it needs the loopback interface (`ip link set lo up`)"


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    blocks: int | None
    as_json: bool
    live: bool


@dataclass(slots=True)
class Signals:
    """The first signal sets ``stop``; the second sets ``cut_short`` and cancels everything."""

    stop: trio.Event
    cut_short: bool = False


async def _main(settings: Settings, options: Options) -> int:
    figures = Figures()
    signals = Signals(trio.Event())
    started_at = trio.current_time()
    output = Output(sys.stdout, signals.stop.set)
    console = Console()
    view = _view(options, figures, output, console)
    result: Result | None = None
    async with trio.open_nursery() as nursery:
        await nursery.start(_listen, signals, nursery.cancel_scope)
        try:
            # The journal first: a second instance is refused before it starts anything.
            with Journal(data_directory(settings), f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}") as journal:
                async with _chain(settings) as (filled, devnet):
                    nursery.start_soon(view.refresh)
                    plan = _plan(filled, devnet, options)
                    result = await serve(plan, journal, figures, view.show, signals.stop)
        finally:
            view.close()
        nursery.cancel_scope.cancel()
    if signals.cut_short or result is None:
        return CUT_SHORT
    if isinstance(view, JsonView):
        for record in summary_records(figures, result):
            view.write(record)
    else:
        with console.capture() as summary:
            print_summary(console, figures, result, trio.current_time() - started_at)
        output.write(summary.get())
    return OutsideError.exit_code if result.after is None else 0


def _view(options: Options, figures: Figures, output: Output, console: Console) -> View:
    if options.as_json:
        return JsonView(output)
    return LiveView(console, figures) if console.is_terminal else PlainView(output, figures)


@asynccontextmanager
async def _chain(settings: Settings) -> AsyncIterator[tuple[Settings, EmbeddedDevnet | None]]:
    """The settings as they are, or with the embedded devnet behind them."""
    if settings.node.url:
        yield settings, None
        return
    if settings.chain.id != DEVNET_CHAIN_ID:
        raise UsageError(f"chain.id = {settings.chain.id} needs a node: set node.url (empty means the embedded devnet)")
    async with embedded_devnet(settings, data_directory(settings)) as devnet:
        yield devnet.settings, devnet


def _plan(settings: Settings, devnet: EmbeddedDevnet | None, options: Options) -> Plan:
    return Plan(
        settings=settings,
        data_dir=data_directory(settings),
        blocks=options.blocks,
        live=options.live,
        devnet_genesis=None if devnet is None else Hash32(bytes.fromhex(devnet.ready.genesis_hash.removeprefix("0x"))),
        environ=os.environ,
    )


async def _listen(
    signals: Signals, scope: trio.CancelScope, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as received:
        task_status.started()
        async for _ in received:
            if signals.stop.is_set():
                signals.cut_short = True
                scope.cancel()
                return
            click.echo("stopping in order; once more to stop at once", err=True)
            signals.stop.set()
