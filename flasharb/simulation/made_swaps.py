"""Quotes by making the swap: what a pool pays where neither a model nor a view of the contract says it.

FlashArb itself is the trader, so that what is quoted is what it would get: on the fork it is given the input, calls
the pool with the command that a trade would use, and what it has more of one token and less of the other is asked of
the tokens. Then everything is undone. A swap that takes another amount than it was to take is no quote.

**Giving a token.** Where a token keeps balances is its own affair. A fresh account's ``balanceOf`` reads a few slots;
each is set in turn, and the one that makes ``balanceOf`` answer exactly what was set is that account's balance. A token
without such a slot (balances that are shares of something) cannot be given, and its pools are not quoted.

**Pairs** are told what to pay and accept or refuse. They are quoted by the largest output that is accepted, searched
from what a constant product with the fee of the last answer would pay, or from what the pair's own view says: two
swaps where that is right, some hundred for the first quote of an unknown fee.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from flasharb.evm import CallResult, Machine, MissingState
from flasharb.execution.commands import ENCODERS, Style
from flasharb.execution.commands.leg import Leg
from flasharb.execution.planning import plan_swap
from flasharb.execution.program import Execution, encode
from flasharb.pools.protocols import PROTOCOLS
from flasharb.pools.quoted.pool import Quote, QuotedPool, UnknownState
from flasharb.pools.spec import PoolSpec
from flasharb.simulation.measure import BALANCE_GAS, BALANCE_OF
from flasharb.simulation.overlay import Overlay
from flasharb.simulation.probe import call_of
from flasharb.simulation.trial import CONTRACT, SIGNER, Place, prepared
from flasharb.units import Address

_T = TypeVar("_T")
PIPS: Final = 10**6
_GIFTS: Final = (2**112 - 0x9E3779B97F4A7C15, 2**95 - 0x9E3779B97F4A7C15)
"""More than anybody has of a token; the second for tokens that keep 96 bits. No slot holds such a number by chance."""
_USUAL_FEE_PIPS: Final = 3000
_MOST_OUT: Final = 1 << 127
"""Within what a command can ask for."""


@dataclass(frozen=True, slots=True)
class Gift:
    """The slot in which a token keeps FlashArb's balance, and the largest amount that may stand there."""

    contract: Address
    slot: int
    amount: int


def find_gift(token: Address, place: Place) -> Gift | None:
    """How to give FlashArb of the token; None where no slot holds a balance as it is.

    Raises:
        MissingState: state that ``balanceOf`` reads is not known.
    """
    state = prepared(place)
    machine = Machine(state, place.context, place.fork)
    if _balance(machine, token, CONTRACT) is None:
        return None
    read = sorted((at, slot) for at, slots in machine.touched.items() for slot in slots)
    gifts = (Gift(Address(at), slot, amount) for at, slot in read for amount in _GIFTS)
    return next((gift for gift in gifts if _is_given(gift, token, place)), None)


def _is_given(gift: Gift, token: Address, place: Place) -> bool:
    world = Overlay(prepared(place), {(gift.contract, gift.slot): gift.amount})
    try:
        return _balance(Machine(world, place.context, place.fork), token, CONTRACT) == gift.amount
    except MissingState:
        # Set to this number the slot sends the token somewhere else: it is a pointer, no balance.
        return False


def made_pool(spec: PoolSpec, place: Place, gifts: Mapping[Address, Gift]) -> QuotedPool:
    """The pool as it stands there, quoted by swaps; a token that is not among the ``gifts`` can only come out.

    Raises:
        UnknownState: what the pool holds is not known.
        ValueError: a token does not say it.
    """
    swaps = _Swaps(spec, place.by_later_rules(), gifts)
    pair = ENCODERS[PROTOCOLS[spec.protocol].kind].style is Style.PAIR
    return QuotedPool(spec, swaps.reserves, _Pair(swaps).quote if pair else _taken(swaps))


def _taken(swaps: _Swaps) -> Quote:
    """For pools that are told what they take."""

    def quote(i: int, j: int, amount_in: int) -> int | None:
        return swaps.paid(i, j, amount_in, 1)

    return quote


class _Swaps:
    """Swaps in one pool, each from the same state."""

    def __init__(self, spec: PoolSpec, place: Place, gifts: Mapping[Address, Gift]) -> None:
        self.spec = spec
        self._place = place
        self._kind = PROTOCOLS[spec.protocol].kind
        state = prepared(place)
        for gift in gifts.values():
            state.supply_slot(gift.contract, gift.slot, gift.amount)
        self._machine = Machine(state, place.context, place.fork)
        self.reserves = tuple(self._reserve(index) for index in range(len(spec.tokens)))
        self._given = frozenset(gifts)
        self._before: dict[Address, int] = {}

    def paid(self, i: int, j: int, amount_in: int, amount_out: int) -> int | None:
        """What the pool pays; None where it reverts, or takes another amount. Only pairs mind ``amount_out``."""
        spec, place, machine = self.spec, self._place, self._machine
        ends = spec.tokens[i], spec.tokens[j]
        if ends[0] not in self._given:
            raise UnknownState(f"nobody can be given 0x{ends[0].hex()} here")
        before = [self._held_before(token) for token in ends]
        if amount_in > before[0]:
            return None
        leg = Leg(self._kind, spec.address, *ends, i, j, amount_in, amount_out, spec.facts)
        commands = plan_swap(leg, place.wrapped_native)
        # A floor of nothing lets everything pass; what it reads is what is asked afterwards anyway.
        checked = None if ends[1] == place.wrapped_native else ends[1]
        data = encode(Execution(place.context.number, 0, 0, checked, True, commands))
        moment = machine.snapshot()
        try:
            if not self._known(lambda: machine.act(SIGNER, CONTRACT, data, origin=SIGNER).success):
                return None
            after = [self._held(token, CONTRACT) for token in ends]
        finally:
            machine.revert(moment)
        return after[1] - before[1] if before[0] - after[0] == amount_in else None

    def asked(self, to: Address, data: bytes) -> int | None:
        """The number that a contract answers, None where it fails."""
        answer = self._known(lambda: self._machine.call(to, data, gas=BALANCE_GAS))
        return _number(answer)

    def _reserve(self, index: int) -> int:
        """What there is of a token: Curve pools say it themselves, of their share there is what was issued."""
        token, pool = self.spec.tokens[index], self.spec.address
        if self._kind != "curve":
            return self._held(token, pool)
        for number in ("uint256", "int128"):
            said = self.asked(pool, call_of(f"balances({number})", index))
            if said is not None:
                return said
        issued = self.asked(token, call_of("totalSupply()"))
        if issued is None:
            raise ValueError(f"nothing says how much of 0x{token.hex()} there is")
        return issued

    def _held_before(self, token: Address) -> int:
        if token not in self._before:
            self._before[token] = self._held(token, CONTRACT)
        return self._before[token]

    def _held(self, token: Address, account: Address) -> int:
        held = self.asked(token, BALANCE_OF + bytes(12) + account)
        if held is None:
            raise ValueError(f"0x{token.hex()} does not say what an account holds")
        if token == self._place.wrapped_native:
            held += self._known(lambda: self._machine.balance(account))
        return held

    def _known(self, action: Callable[[], _T]) -> _T:
        try:
            return action()
        except MissingState as missing:
            raise UnknownState(f"a swap needs state that is not known: {missing}") from None


class _Pair:
    """Finds what a pair lets go: it is told an output, and accepts or refuses."""

    def __init__(self, swaps: _Swaps) -> None:
        self._swaps = swaps
        self._fee_pips = _USUAL_FEE_PIPS

    def quote(self, i: int, j: int, amount_in: int) -> int | None:
        """The largest output that is accepted; None where not even one unit is."""

        def accepted(amount_out: int) -> bool:
            return amount_out == 0 or self._swaps.paid(i, j, amount_in, amount_out) == amount_out

        bound = min(self._swaps.reserves[j], _MOST_OUT)
        if not bound:
            return None
        viewed = self._swaps.asked(
            self._swaps.spec.address, call_of("getAmountOut(uint256,address)", amount_in, self._swaps.spec.tokens[i])
        )
        guess = self._by_product(i, j, amount_in) if viewed is None else viewed
        paid = largest_accepted(accepted, min(guess, bound - 1), bound)
        if paid and viewed is None and paid != guess:
            self._learn_fee(i, j, amount_in, paid)
        return paid or None

    def _by_product(self, i: int, j: int, amount_in: int) -> int:
        x, y = self._swaps.reserves[i], self._swaps.reserves[j]
        effective = amount_in * (PIPS - self._fee_pips)
        return effective * y // (x * PIPS + effective)

    def _learn_fee(self, i: int, j: int, amount_in: int, paid: int) -> None:
        x, y = self._swaps.reserves[i], self._swaps.reserves[j]
        effective = -(-paid * x // (y - paid))
        self._fee_pips = min(max(round((amount_in - effective) * PIPS / amount_in), 0), PIPS - 1)


def largest_accepted(accepted: Callable[[int], bool], guess: int, bound: int) -> int:
    """The largest number from 0 and below ``bound`` that is accepted, where all below an accepted one are, as 0 is."""
    low, high, step = 0, bound, 1
    if accepted(guess):
        low = guess
        while low + step < high and accepted(low + step):
            low, step = low + step, 2 * step
        high = min(high, low + step)
    else:
        high = guess
        while high > step and not accepted(high - step):
            high, step = high - step, 2 * step
        low = max(high - step, 0)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if accepted(middle) else (low, middle)
    return low


def _balance(machine: Machine, token: Address, account: Address) -> int | None:
    answer = machine.call(token, BALANCE_OF + bytes(12) + account, gas=BALANCE_GAS)
    return _number(answer)


def _number(answer: CallResult) -> int | None:
    """The first word of an answer: forwarders of 2021 give four thousand bytes whatever they are asked."""
    return int.from_bytes(answer.output[:32], "big") if answer.success and len(answer.output) >= 32 else None
