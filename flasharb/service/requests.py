"""What the service sends to a worker process, and the one answer that is its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flasharb.evm import BlockContext, Fork, MissingState, UnsignedTransaction
from flasharb.pools.spec import PoolSpec
from flasharb.service.facts import Fact
from flasharb.simulation.opinion import Unconfirmed
from flasharb.simulation.result import Simulation
from flasharb.simulation.token_check import Parties, Verdict
from flasharb.units import Address, Hash32


@dataclass(frozen=True, slots=True)
class Request:
    """Simulate ``transactions`` on top of block ``parent``, whose state the worker knows from ``facts`` so far.

    ``anew``: forget what was told before this. ``gas_budget``: most gas that all of them may ask for; every opcode
    costs some, so it bounds the steps too. ``ask_revm``: revm must agree on the last one.
    """

    parent: Hash32
    facts: Sequence[Fact]
    context: BlockContext
    fork: Fork
    transactions: Sequence[bytes | UnsignedTransaction]
    measure: tuple[tuple[Address, Address], ...]
    gas_budget: int
    anew: bool = False
    ask_revm: bool = False


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """Try a token out on top of block ``parent`` (``simulation.token_check``); ``facts`` and ``anew`` as above."""

    parent: Hash32
    facts: Sequence[Fact]
    context: BlockContext
    fork: Fork
    token: Address
    parties: Parties
    anew: bool = False


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """Try out a pool that only a trial vouches for (``simulation.probes``), with ``actor`` as who trades in it."""

    parent: Hash32
    facts: Sequence[Fact]
    context: BlockContext
    fork: Fork
    spec: PoolSpec
    actor: Address
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Probed:
    """What a trial showed: the spec with its facts, or why the pool is not modelled."""

    found: PoolSpec | str


@dataclass(frozen=True, slots=True)
class Invalid:
    """No block could hold the transaction (nonce, balance, fee, gas)."""

    reason: str


@dataclass(frozen=True, slots=True)
class OverGas:
    """The transactions ask for more gas than a candidate may use; nothing was run."""

    wanted: int
    budget: int


Answer = Simulation | Verdict | Probed | MissingState | Invalid | OverGas | Unconfirmed
"""What a worker says to a request."""
