"""A route as commands: which pool is called inside which.

**The last pool first.** A pool that gives before it takes (V3, V4, a pair's flash swap) puts the profit in hand before
anything is paid: the last such pool of the route is called first, the pools after it run on what it gave, which brings
the base token in, and inside its callback (V4: before the unlocking ends) the pools before it are run in the same way
so that their output pays it. Only the first pool is paid by the contract. N pools of V2 and V3 cost N + 1 transfers,
the contract never holds an intermediate token, and nothing is borrowed from a third party.

Pools differ in how they are paid (``Style``), and that decides where they stand:

- a **pair** is paid by whoever has its input (the pool before it, in one transfer less) and called afterwards;
- **callback** and **account** pools are called before their input exists, and send their output to whoever needs it;
- **held** pools take what the contract holds, so that the pool before them pays the contract.

So every stretch between two pools that give first is a plain sequence (``_chain``), and what is left is recursion over
the pools that give first (``deliver``). A route without any pool that gives needs a loan around it; then the base
token is in hand from the start and the same two functions do the rest.

Amounts are the trade's, exact and written out. A command that takes less than came in leaves the difference in the
contract, the base token's balance at the end being the only judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import pairwise
from typing import Final

from flasharb.execution.commands import ENCODERS, Encoder, Style, swap_v4
from flasharb.execution.commands.balancer_v2 import Borrow
from flasharb.execution.commands.concentrated import SwapV3
from flasharb.execution.commands.leg import Leg
from flasharb.execution.commands.pair import FlashV2, SwapV2
from flasharb.execution.commands.payments import Pay, Send
from flasharb.execution.commands.uniswap_v4 import PayV4, SettleV4, SyncV4, TakeV4, UnlockV4
from flasharb.execution.commands.wire import Command, Recipient
from flasharb.units import ZERO_ADDRESS, Address, checksum

FLASH_SWAP: Final = "flash_swap"
BALANCER_V2: Final = "balancer_v2"
UNISWAP_V4: Final = "uniswap_v4"
LOANS: Final = (FLASH_SWAP, BALANCER_V2, UNISWAP_V4)

Commands = tuple[Command, ...]


class _Caller(Enum):
    """Who runs these commands, which decides how it is paid."""

    NOBODY = auto()
    """The owner, or a lender: paid by a command of its own at the end."""
    CALLBACK = auto()
    """It says what it is owed."""
    PAIR = auto()
    MANAGER = auto()


@dataclass(frozen=True, slots=True)
class _At:
    """Under whose call commands stand, and what that caller must be given."""

    caller: _Caller
    token: Address = ZERO_ADDRESS
    due: int = 0


_NOBODY: Final = _At(_Caller.NOBODY)


def plan_legs(legs: Sequence[Leg], base: Address, loan: str, weth: Address) -> Commands:
    """The commands that take ``base`` through ``legs`` and back with money from ``loan``.

    Raises:
        ValueError: legs that do not join into a cycle of different pools, an unknown loan or protocol, or a loan that
            this route cannot be run with.
    """
    _check_cycle(legs, base)
    planner = _Planner(weth)
    route = _with_ether(legs, weth)
    amount = route[0].amount_in
    if loan == FLASH_SWAP:
        commands = planner.self_financed(route)
    elif loan == BALANCER_V2:
        if any(leg.kind == BALANCER_V2 for leg in route):
            raise ValueError("the Balancer vault is locked during its own flash loan: no swap there within")
        repaid = Pay(planner.named(base), lender=True)
        commands = (Borrow(base, amount, (*planner.deliver(route, Recipient.SELF, _NOBODY), repaid)),)
    elif loan == UNISWAP_V4:
        inner = planner.deliver(route, Recipient.SELF, _At(_Caller.MANAGER))
        return (UnlockV4((TakeV4(base, amount), *inner, PayV4(base, amount))),)
    else:
        raise ValueError(f"unknown loan source {loan!r} (known: {', '.join(LOANS)})")
    return (UnlockV4(commands),) if any(_style(leg) is Style.ACCOUNT for leg in route) else commands


def fits(loan: str, kinds: Sequence[str]) -> bool:
    """Whether a route through pools of these kinds can be run with money from ``loan``."""
    if loan == FLASH_SWAP:
        return any(_encoder(kind).style is not Style.HELD for kind in kinds)
    return loan != BALANCER_V2 or BALANCER_V2 not in kinds


def plan_swap(leg: Leg, weth: Address) -> Commands:
    """The commands that swap in one pool what the contract holds, the output to itself (ether is left unwrapped)."""
    route = _with_ether((leg,), weth)
    if route[-1].token_in == ZERO_ADDRESS and route[-1].kind == "weth":
        route = route[:-1]
    commands = _Planner(weth).deliver(route, Recipient.SELF, _NOBODY)
    return (UnlockV4(commands),) if _style(leg) is Style.ACCOUNT else commands


@dataclass(frozen=True, slots=True)
class _Planner:
    """The recursion; ``weth`` is the token that programs need not name."""

    weth: Address

    def self_financed(self, legs: Sequence[Leg]) -> Commands:
        """The route with the money of its own last pool that gives before it takes."""
        position = _last_giving(legs)
        if position is None:
            return self._flash_pair(legs)
        leg, rest = legs[position], legs[position + 1 :]
        after = self._chain(rest, Recipient.SELF, _NOBODY, in_hand=False)
        if _style(leg) is Style.ACCOUNT:
            receiver = _onward(rest, Recipient.SELF, Recipient.NEXT)
            paid = self._pay_account(legs[: position + 1], _At(_Caller.MANAGER))
            return (swap_v4(leg, receiver), *after, *paid)
        receiver = _onward(rest, Recipient.SELF, Recipient.INNER)
        return (_swap_v3(leg, receiver, (*after, *self._pay_callback(legs[: position + 1]))),)

    def _flash_pair(self, legs: Sequence[Leg]) -> Commands:
        """The route with a flash swap of its last pair, which gives to the contract only."""
        position = next((n for n in reversed(range(len(legs))) if _style(legs[n]) is Style.PAIR), None)
        if position is None:
            raise ValueError("no pool of this route gives before it takes: it needs a loan")
        leg = legs[position]
        after = self._chain(legs[position + 1 :], Recipient.SELF, _NOBODY, in_hand=True)
        paid = self.deliver(legs[:position], Recipient.CALLER, _At(_Caller.PAIR, leg.token_in, leg.amount_in))
        return (FlashV2(leg.pool, leg.i == 0, leg.amount_out, (*after, *paid)),)

    def deliver(self, legs: Sequence[Leg], to: Recipient, at: _At) -> Commands:
        """Runs ``legs`` with the base token in hand, so that the last one's output goes to ``to``."""
        position = _last_giving(legs)
        if position is None:
            return self._chain(legs, to, at, in_hand=True)
        leg, rest = legs[position], legs[position + 1 :]
        receiver = _onward(rest, to, Recipient.NEXT)
        after = self._chain(rest, to, at, in_hand=False)
        if _style(leg) is Style.ACCOUNT:
            return (swap_v4(leg, receiver), *after, *self._pay_account(legs[: position + 1], at))
        return (_swap_v3(leg, receiver, self._pay_callback(legs[: position + 1])), *after)

    def _pay_callback(self, legs: Sequence[Leg]) -> Commands:
        """Pays the last of ``legs``, which calls back for its input, by running those before it."""
        leg = legs[-1]
        return self.deliver(legs[:-1], Recipient.CALLER, _At(_Caller.CALLBACK, leg.token_in, leg.amount_in))

    def _pay_account(self, legs: Sequence[Leg], at: _At) -> Commands:
        """Pays the last of ``legs``, which has an account, by running those before it.

        The pools before it send straight to the manager where the manager is the caller and no other payment of this
        kind comes between. That saves a transfer, at a price: the account must come out even, so that an output which
        is larger than expected undoes the trade too.
        """
        leg, before = legs[-1], legs[:-1]
        exact = bool(before) and before[-1].amount_out == leg.amount_in
        if exact and _style(before[-1]) is Style.ACCOUNT:
            return (swap_v4(before[-1], None), *self._pay_account(before, at))
        counted = exact and at.caller is _Caller.MANAGER and leg.token_in != ZERO_ADDRESS
        if counted and not any(_style(earlier) is Style.ACCOUNT for earlier in before):
            sent = self.deliver(before, Recipient.CALLER, _At(_Caller.MANAGER, leg.token_in, leg.amount_in))
            return (SyncV4(leg.token_in), *sent, SettleV4())
        return (*self.deliver(before, Recipient.SELF, at), PayV4(leg.token_in, leg.amount_in))

    def _chain(self, legs: Sequence[Leg], to: Recipient, at: _At, *, in_hand: bool) -> Commands:
        """Pairs and held pools one after the other, the last one's output to ``to``.

        ``in_hand``: the contract holds the first one's input; else a first pair has been sent it.
        """
        if not legs:
            return (self._pay_caller(at),) if to is Recipient.CALLER and in_hand else ()
        commands: list[Command] = []
        runs = _runs(legs)
        for index, run in enumerate(runs):
            is_last = index == len(runs) - 1
            receiver = to if is_last else _onward(runs[index + 1], to, Recipient.NEXT)
            encoder = _encoder(run[0].kind)
            if encoder.swap is None:
                # What a callback's caller is owed it says itself: 16 bytes that need not be written.
                owed = is_last and to is Recipient.CALLER and at.caller is _Caller.CALLBACK
                commands.append(self._swap_v2(run[0], receiver, in_hand, owed))
            elif encoder.forwards or receiver is Recipient.SELF:
                commands.append(encoder.swap(run, receiver))
            else:
                commands.append(encoder.swap(run, Recipient.SELF))
                if receiver is Recipient.CALLER:
                    commands.append(self._pay_caller(at))
                receiver = Recipient.SELF
            in_hand = receiver is Recipient.SELF
        return tuple(commands)

    def _pay_caller(self, at: _At) -> Command:
        """Gives the caller what it must get, out of what the contract holds."""
        return Pay(self.named(at.token)) if at.caller is _Caller.CALLBACK else Send(at.token, at.due)

    def _swap_v2(self, leg: Leg, to: Recipient, pays: bool, owed: bool) -> SwapV2:
        """A pair's swap; ``pays``: the contract sends the input first; ``owed``: the output need not be written."""
        return SwapV2(
            pool=leg.pool,
            zero_for_one=leg.i == 0,
            amount_out=None if owed else leg.amount_out,
            recipient=to,
            pay=leg.amount_in if pays else 0,
            token=self.named(leg.token_in) if pays else None,
        )

    def named(self, token: Address) -> Address | None:
        """The token where it must be named, None for WETH."""
        return None if token == self.weth else token


def _swap_v3(leg: Leg, to: Recipient, program: Commands) -> SwapV3:
    """A V3 swap of exact input: 900 gas cheaper in the pool than exact output.

    Exact output would survive a price that moved against us by less than the slippage tolerance; but that tolerance is
    a share of the profit, which is itself a small share of the amount, so hardly any move is that small.
    """
    return SwapV3(leg.pool, leg.i == 0, True, leg.amount_in, to, program)


# --- routes -----------------------------------------------------------------------------------------------------------


def _encoder(kind: str) -> Encoder:
    encoder = ENCODERS.get(kind)
    if encoder is None:
        raise ValueError(f"no encoder for pools of kind {kind!r} (known: {', '.join(ENCODERS)})")
    return encoder


def _style(leg: Leg) -> Style:
    return _encoder(leg.kind).style


def _last_giving(legs: Sequence[Leg]) -> int | None:
    """The last pool that gives to anybody before it takes."""
    gives = (Style.CALLBACK, Style.ACCOUNT)
    return next((index for index in reversed(range(len(legs))) if _style(legs[index]) in gives), None)


def _onward(rest: Sequence[Leg], to: Recipient, neighbour: Recipient) -> Recipient:
    """Who gets the output of a pool before ``rest``: a pair directly, everybody else out of the contract's hands."""
    if not rest:
        return to
    return neighbour if _style(rest[0]) is Style.PAIR else Recipient.SELF


def _runs(legs: Sequence[Leg]) -> list[Sequence[Leg]]:
    """The legs one by one, but those in a row that one command can run together."""
    runs: list[list[Leg]] = []
    for leg in legs:
        before = runs[-1][-1] if runs else None
        joins = before is not None and before.kind == leg.kind and before.amount_out == leg.amount_in
        if joins and _encoder(leg.kind).batches:
            runs[-1].append(leg)
        else:
            runs.append([leg])
    return list(runs)


def _with_ether(legs: Sequence[Leg], weth: Address) -> tuple[Leg, ...]:
    """The route with wrapping and unwrapping where a market calls a pool's ether WETH.

    Ether that comes out of one pool and goes into the next stays ether.
    """
    route: list[Leg] = []
    for leg in legs:
        part = leg
        ether = _encoder(leg.kind).ether
        ether_in, ether_out = ether(leg) if ether is not None else (False, False)
        if ether_in and leg.token_in == weth:
            if route and _is_wrapping(route[-1], leg.amount_in):
                route.pop()
            else:
                route.append(Leg("weth", weth, weth, ZERO_ADDRESS, 1, 0, leg.amount_in, leg.amount_in))
            part = replace(part, token_in=ZERO_ADDRESS)
        wrapped = ether_out and leg.token_out == weth
        route.append(replace(part, token_out=ZERO_ADDRESS) if wrapped else part)
        if wrapped:
            route.append(Leg("weth", weth, ZERO_ADDRESS, weth, 0, 1, leg.amount_out, leg.amount_out))
    return tuple(route)


def _is_wrapping(leg: Leg, amount: int) -> bool:
    return leg.kind == "weth" and leg.i == 0 and leg.amount_out == amount


def _check_cycle(legs: Sequence[Leg], base: Address) -> None:
    if len(legs) < 2:
        raise ValueError(f"a trade needs at least two pools, not {len(legs)}")
    if legs[0].token_in != base or legs[-1].token_out != base:
        raise ValueError("the trade does not start and end in its base token")
    pools = [leg.pool for leg in legs if leg.kind != "weth"]
    if len(set(pools)) != len(pools):
        raise ValueError("a pool appears twice: it is locked during its own callback")
    for before, after in pairwise(legs):
        if before.token_out != after.token_in:
            raise ValueError(f"{checksum(before.pool)} does not give what {checksum(after.pool)} takes")
        if before.amount_out < after.amount_in:
            raise ValueError(
                f"{checksum(after.pool)} is to take {after.amount_in}, but only {before.amount_out} comes in"
            )
    if any(leg.amount_in <= 0 or leg.amount_out <= 0 for leg in legs):
        raise ValueError("every amount of a trade must be positive")
