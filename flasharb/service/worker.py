"""A worker process: ``python -m flasharb.service.worker``. Simulates what it is sent, from the facts that it was sent.

It talks only through its two pipes and ends when the first of them does. It never asks for state: what is missing is
its answer, and the service sends the request again with more facts.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections import OrderedDict
from typing import BinaryIO, Final

# Before any eth package is imported: pysha3 is six times faster than the pure fallback that eth-hash finds first.
os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")

from flasharb.evm import InvalidTransaction, MissingState
from flasharb.service.facts import tell
from flasharb.service.frames import Failed, Ready, read_frame, unpack, write_frame
from flasharb.service.requests import Invalid, Request, TokenRequest
from flasharb.simulation.fork_state import ForkState
from flasharb.simulation.result import Simulation
from flasharb.simulation.simulate import simulate
from flasharb.simulation.token_check import Verdict, check_token
from flasharb.units import Hash32

KEPT_BLOCKS: Final = 2
"""Blocks whose state a worker keeps: the head, and the one before for requests that were under way."""


class Bench:
    """The states of recent blocks."""

    def __init__(self) -> None:
        self._states: OrderedDict[Hash32, ForkState] = OrderedDict()

    def work(self, request: Request | TokenRequest) -> Simulation | Verdict | MissingState | Invalid:
        """Run one request."""
        state = self._states.get(request.parent)
        if state is None:
            state = self._states[request.parent] = ForkState()
            while len(self._states) > KEPT_BLOCKS:
                self._states.popitem(last=False)
        tell(state, request.facts)
        if isinstance(request, TokenRequest):
            return check_token(request.token, request.parties, state, request.context, request.fork)
        try:
            return simulate(request.transactions, state, request.context, request.fork, measure=request.measure)
        except InvalidTransaction as error:
            return Invalid(str(error))


def main() -> None:
    """Serve until stdin ends."""
    # Ctrl-C is for the service, which ends its workers in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, answers = sys.stdin.buffer, _own_stdout()
    bench = Bench()
    write_frame(answers, Ready())
    while (body := read_frame(requests)) is not None:
        try:
            answer: object = bench.work(unpack(body))
        except Exception:  # noqa: BLE001 - it is raised again where the request came from
            answer = Failed(traceback.format_exc())
        try:
            write_frame(answers, answer)
        except BrokenPipeError:
            return


def _own_stdout() -> BinaryIO:
    """Stdout for our frames alone; whatever else prints goes to stderr."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


if __name__ == "__main__":
    main()
