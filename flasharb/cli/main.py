"""The command group: one file a verb, imported only when it is asked for, so that ``--help`` is instant."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
from typing import Final

# Before any eth package is imported: pysha3 is six times faster than the pure fallback that eth-hash finds first.
os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

import click

from flasharb.errors import FlasharbError, OutsideError

VERBS: Final = {
    "run": "The service: bus to bundle; without a configuration on the embedded devnet.",
    "simulate": "Re-execute one transaction and say what it did.",
    "verify": "Re-execute recorded blocks and compare with their headers.",
    "backtest": "Run detection, sizing and simulation over recorded blocks, against what really happened.",
    "record": "Write a block of a node to a file.",
    "bus": "Decode, replay, record and serve bus messages.",
    "pools": "Find pools and write them to a pool file.",
    "config": "Show the effective configuration, or check it.",
    "contract": "Build, deploy and verify the FlashArb contract.",
    "doctor": "Check node, relays, bus, contract, key, clock and disk.",
}


class LazyGroup(click.Group):
    """A group whose commands live in ``flasharb.cli.<verb>.command``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"flasharb.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="flasharb")
def cli() -> None:
    """Flash-loan arbitrage: exact pools, local simulation, Flashbots bundles.

    Exit codes: 0 done, 1 done with a negative answer, 2 wrong usage or configuration, 3 something outside failed,
    130 a second signal cut the drain short.
    """


WRITE_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""A full, limited or broken disk, met in the middle of any output."""


def main() -> None:
    """Run the command line; a known error becomes one line on stderr and its exit code."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        status = cli.main(standalone_mode=False)
    except FlasharbError as error:
        click.echo(f"flasharb: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output went away (`| head`); nothing is left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        if error.errno not in WRITE_ERRORS:
            raise
        click.echo(f"flasharb: cannot write the output: {error.strerror}", err=True)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(OutsideError.exit_code)
    sys.exit(status if isinstance(status, int) else 0)
