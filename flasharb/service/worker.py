"""A worker process: ``python -m flasharb.service.worker``. Simulates what it is sent, from the facts that it was sent.

It talks only through its two pipes and ends when the first of them does. It never asks for state: what is missing is
its answer, and the service sends the request again with more facts.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import traceback
from collections import OrderedDict
from typing import BinaryIO, Final

# Before any eth package is imported: pysha3 is six times faster than the pure fallback that eth-hash finds first.
os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

from flasharb.adapters.code_cache import keep_code
from flasharb.evm import InvalidTransaction, MissingState
from flasharb.evm.machine import SHARED_COMPILER
from flasharb.service.facts import tell
from flasharb.service.frames import Exhausted, Failed, Ready, read_frame, unpack, write_frame
from flasharb.service.requests import Answer, Invalid, OverGas, Probed, ProbeRequest, Request, TokenRequest
from flasharb.simulation.fork_state import ForkState
from flasharb.simulation.opinion import Case, gas_limit_of
from flasharb.simulation.probes import PROBES
from flasharb.simulation.revm import revm_objection
from flasharb.simulation.simulate import Options, Run
from flasharb.simulation.token_check import check_token
from flasharb.units import Hash32

KEPT_BLOCKS: Final = 4
"""Blocks whose state a worker keeps: those of the service, and older ones of requests that were under way."""

SAVED_BLOCKS: Final = 16
"""So many newly compiled blocks are worth writing to the code cache."""


class Bench:
    """The states of recent blocks, and the codes that they share."""

    def __init__(self) -> None:
        self._states: OrderedDict[Hash32, ForkState] = OrderedDict()
        self._codes: dict[bytes, bytes] = {}

    def work(self, request: Request | TokenRequest | ProbeRequest) -> Answer:
        """Run one request."""
        if request.anew:
            self._states.clear()
            self._codes = {}
        state = self._states.get(request.parent)
        if state is None:
            state = self._states[request.parent] = ForkState(codes=self._codes)
            while len(self._states) > KEPT_BLOCKS:
                self._states.popitem(last=False)
        tell(state, request.facts)
        if isinstance(request, TokenRequest):
            return check_token(request.token, request.parties, state, request.context, request.fork)
        if isinstance(request, ProbeRequest):
            probe = PROBES[request.spec.protocol]
            found = probe(request.spec, request.actor, state, request.context, request.fork)
            return found if isinstance(found, MissingState) else Probed(found)
        wanted = sum(gas_limit_of(transaction) for transaction in request.transactions)
        if wanted > request.gas_budget:
            return OverGas(wanted, request.gas_budget)
        options = Options(request.measure)
        run = Run(request.transactions, state, request.context, request.fork, options=options)
        try:
            answer = run.step()
        except InvalidTransaction as error:
            return Invalid(str(error))
        if not request.ask_revm or isinstance(answer, MissingState):
            return answer
        case = Case(request.transactions[-1], request.context, request.fork, run.state_before(), request.measure)
        return revm_objection(answer.transactions[-1], case) or answer


def main() -> None:
    """Serve until stdin ends."""
    parser = argparse.ArgumentParser(prog="flasharb.service.worker")
    parser.add_argument("--memory-mb", type=int, help="most MiB of address space (Linux)")
    parser.add_argument("--alarm-s", type=float, default=0.0, help="a request that takes longer ends the process")
    limits = parser.parse_args()
    if limits.memory_mb is not None:
        _limit_memory(limits.memory_mb)
    # Ctrl-C is for the service, which ends its workers in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, answers = sys.stdin.buffer, _own_stdout()
    keep_code(SHARED_COMPILER, os.environ)
    bench = Bench()
    write_frame(answers, Ready())
    while (body := read_frame(requests)) is not None:
        # The service kills a worker that overruns; this is for the day on which there is no service any more.
        signal.setitimer(signal.ITIMER_REAL, limits.alarm_s)
        try:
            answer: object = bench.work(unpack(body))
        except MemoryError:
            answer = Exhausted("memory")
        except RecursionError:
            answer = Exhausted("stack")
        except Exception:  # noqa: BLE001 - it is raised again where the request came from
            answer = Failed(traceback.format_exc())
        signal.setitimer(signal.ITIMER_REAL, 0)
        try:
            write_frame(answers, answer)
        except BrokenPipeError:
            return
        # While nobody waits. The service kills its workers, so that the end would be too late.
        SHARED_COMPILER.save(least=SAVED_BLOCKS)


def _limit_memory(mebibytes: int) -> None:
    """Make allocations beyond the limit fail here instead of letting the whole machine run out of memory.

    On Linux alone: elsewhere the system ignores the limit or refuses to set it.
    """
    if sys.platform == "linux":
        limit = mebibytes * 1024 * 1024
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _own_stdout() -> BinaryIO:
    """Stdout for our frames alone; whatever else prints goes to stderr."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


if __name__ == "__main__":
    main()
