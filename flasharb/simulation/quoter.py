"""Quotes by running a contract's own view function: what ``pools.quoted`` asks for where no mathematics is modelled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flasharb.evm import Machine, MissingState
from flasharb.pools.quoted.pool import Quote, UnknownState
from flasharb.units import Address


@dataclass(frozen=True, slots=True)
class View:
    """A view function that says what a swap pays.

    ``encode`` gives the call data for (token index in, token index out, amount in); the amount is the word number
    ``word`` of what ``contract`` returns.
    """

    contract: Address
    encode: Callable[[int, int, int], bytes]
    word: int = 0


def quotes_on(machine: Machine, view: View) -> Quote:
    """Quotes on the machine's state as it is now, whatever runs on the machine later.

    The quotes raise ``UnknownState`` where the state that the code reads is not known.
    """
    moment = machine.snapshot()
    end = 32 * view.word + 32

    def quote(i: int, j: int, amount_in: int) -> int | None:
        try:
            with machine.rewound(moment):
                answer = machine.call(view.contract, view.encode(i, j, amount_in))
        except MissingState as missing:
            raise UnknownState(f"the quote reads state that is not known: {missing}") from None
        if not answer.success or len(answer.output) < end:
            return None
        return int.from_bytes(answer.output[end - 32 : end], "big")

    return quote
