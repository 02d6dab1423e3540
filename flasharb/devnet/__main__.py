"""``python -m flasharb.devnet``: run the devnet until SIGTERM, SIGINT or the end of standard input.

The first and only line on standard output is the ready line (JSON). Whoever starts the devnet holds its standard input
open: when the parent dies, however it dies, the devnet ends too. Exit codes: 0 ended as told, 2 wrong usage or a
damaged world.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import trio

from flasharb.adapters.code_cache import keep_code
from flasharb.adapters.nurseries import unwrapped
from flasharb.devnet.node import Devnet, Options
from flasharb.devnet.world import load_world
from flasharb.errors import FlasharbError, OutsideError, UsageError
from flasharb.evm.machine import SHARED_COMPILER

STDIN: Final = 0


def parse_options(arguments: Sequence[str]) -> Options:
    """The options of the command line; wrong usage exits with 2."""
    parser = argparse.ArgumentParser(prog="python -m flasharb.devnet", description=__doc__.split("\n\n")[0])
    parser.add_argument("--run-dir", type=Path, required=True, help="directory of sockets, files and recorded blocks")
    parser.add_argument("--seed", type=int, default=1, help="seed of the traders")
    parser.add_argument("--slot-s", type=float, default=2.0, help="seconds per block")
    parser.add_argument("--trades-per-slot", type=float, default=2.0, help="mean number of trader swaps per block")
    parser.add_argument("--blocks", type=int, default=None, help="end after this many blocks")
    given = parser.parse_args(arguments)
    if not 0.01 <= given.slot_s <= 3600:
        parser.error(f"--slot-s {given.slot_s}: expected 0.01 to 3600 seconds")
    if not 0 <= given.trades_per_slot <= 50:
        parser.error(f"--trades-per-slot {given.trades_per_slot}: expected 0 to 50")
    if given.blocks is not None and given.blocks < 1:
        parser.error(f"--blocks {given.blocks}: expected at least 1")
    return Options(
        run_dir=given.run_dir.absolute(),
        seed=given.seed,
        slot_s=given.slot_s,
        trades_per_slot=given.trades_per_slot,
        blocks=given.blocks,
    )


async def run(options: Options) -> None:
    """Run one devnet; returns when it is told to end."""
    keep_code(SHARED_COMPILER, os.environ)
    devnet = Devnet(load_world(), options)
    stop = trio.Event()
    with unwrapped():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stop_on_signal, stop)
            nursery.start_soon(_stop_on_end_of_input, stop)
            await devnet.run(_print_ready, stop)
            nursery.cancel_scope.cancel()


def _print_ready(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


async def _stop_on_signal(stop: trio.Event) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            stop.set()


async def _stop_on_end_of_input(stop: trio.Event) -> None:
    # A thread, since making a terminal's descriptor non-blocking would change it for our parent too.
    await trio.to_thread.run_sync(_read_to_end, abandon_on_cancel=True)
    stop.set()


def _read_to_end() -> None:
    # Not by sys.stdin: its lock would still be held by this thread when the interpreter shuts down.
    with contextlib.suppress(OSError):
        while os.read(STDIN, 4096):
            pass


def main() -> int:
    """Exit status of the process."""
    options = parse_options(sys.argv[1:])
    try:
        if len(str(options.run_dir / "market_data.sock").encode()) > 107:
            raise UsageError(f"--run-dir {options.run_dir} is too long: a Unix socket's path has at most 107 bytes")
        trio.run(run, options)
    except FlasharbError as error:
        print(f"flasharb.devnet: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"flasharb.devnet: {options.run_dir}: {error}", file=sys.stderr)
        return OutsideError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
