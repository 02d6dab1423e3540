"""What the service sends to a worker process, and the one answer that is its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flasharb.evm import BlockContext, Fork, UnsignedTransaction
from flasharb.service.facts import Fact
from flasharb.simulation.token_check import Parties
from flasharb.units import Address, Hash32


@dataclass(frozen=True, slots=True)
class Request:
    """Simulate ``transactions`` on top of block ``parent``, whose state the worker knows from ``facts`` so far."""

    parent: Hash32
    facts: Sequence[Fact]
    context: BlockContext
    fork: Fork
    transactions: Sequence[bytes | UnsignedTransaction]
    measure: tuple[tuple[Address, Address], ...]


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """Try a token out on top of block ``parent``; see ``simulation.token_check``."""

    parent: Hash32
    facts: Sequence[Fact]
    context: BlockContext
    fork: Fork
    token: Address
    parties: Parties


@dataclass(frozen=True, slots=True)
class Invalid:
    """No block could hold the transaction (nonce, balance, fee, gas)."""

    reason: str
