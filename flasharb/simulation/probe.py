"""Contracts tried out by an account that owns nothing, in worlds where some slots are others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from eth_hash.auto import keccak

from flasharb.evm import BlockContext, Fork, Machine, StateSource
from flasharb.simulation.overlay import Overlay
from flasharb.units import Address

YEAR_S: Final = 365 * 86_400
_GAS: Final = 5_000_000


class NotModelled(Exception):
    """The contract is none that we can compute; the message says why."""


class Trial:
    """``actor`` asks and acts, in the block ``context`` on ``source``."""

    def __init__(self, actor: Address, source: StateSource, context: BlockContext, fork: Fork) -> None:
        self.actor = actor
        self._source = source
        self._context = context
        self._fork = fork

    def machine(self, slots: Mapping[tuple[bytes, int], int] | None = None, *, later_s: int = 0) -> Machine:
        """A world where the slots have these values, ``later_s`` seconds (and a block) on."""
        context = self._context
        if later_s:
            context = replace(context, number=context.number + 1, timestamp=context.timestamp + later_s)
        return Machine(Overlay(self._source, slots or {}), context, self._fork)

    def ask(self, machine: Machine, to: Address, signature: str, *arguments: Address | int) -> int | None:
        """The number that a view answers, None where it fails."""
        answer = machine.call(to, call_of(signature, *arguments), sender=self.actor, gas=_GAS)
        return int.from_bytes(answer.output, "big") if answer.success and len(answer.output) == 32 else None

    def act(
        self,
        machine: Machine,
        to: Address,
        signature: str,
        *arguments: Address | int,
        sender: Address | None = None,
    ) -> tuple[bool, int]:
        """A call of the actor (or of ``sender``), kept: whether it succeeded, and the number it gave (0: none)."""
        result = machine.act(sender or self.actor, to, call_of(signature, *arguments), origin=self.actor, gas=_GAS)
        return result.success, int.from_bytes(result.output[:32], "big")


def call_of(signature: str, *arguments: Address | int) -> bytes:
    """The call data; all arguments are addresses or unsigned numbers."""
    words = [one.to_bytes(32, "big") if isinstance(one, int) else bytes(12) + one for one in arguments]
    return keccak(signature.encode())[:4] + b"".join(words)
