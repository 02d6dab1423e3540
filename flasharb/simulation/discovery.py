"""Which state will a list of transactions need? Found by running each of them up to the first value nobody knows.

Executing a block over a node one missing value at a time costs a round trip per value. In lockstep every transaction
runs by itself on the parent state, all stop at their first unknown, and one batch fetches all of these. Nothing is
guessed: a transaction that cannot run by itself (a nonce that an earlier one must raise first) is left to the
execution in order, which fetches the few values that lockstep did not find.
"""

from __future__ import annotations

from collections.abc import Sequence

from flasharb.evm import BlockContext, Fork, InvalidTransaction, Machine, MissingState, StateSource, UnsignedTransaction
from flasharb.evm.transactions import decode


class Lockstep:
    """The transactions that still lack something, on one machine."""

    def __init__(
        self,
        transactions: Sequence[bytes | UnsignedTransaction],
        source: StateSource,
        context: BlockContext,
        fork: Fork,
    ) -> None:
        self._machine = Machine(source, context, fork)
        self._pending = list(transactions)
        self._begun = False

    def step(self, refused: MissingState | None = None) -> MissingState | None:
        """What the transactions lack now, one value each; None when nothing more can be found out.

        Transactions that lack something of ``refused``, which cannot be had, are given up.
        """
        try:
            if not self._begun:
                self._machine.begin_block()
                self._begun = True
        except MissingState as missing:
            return missing
        start = self._machine.snapshot()
        found: MissingState | None = None
        pending = []
        for transaction in self._pending:
            try:
                self._machine.apply(transaction)
                self._machine.revert(start)
            except InvalidTransaction:
                continue
            except MissingState as missing:
                if refused is not None and missing.within(refused):
                    continue
                found = missing if found is None else found | missing
                pending.append(transaction)
        self._pending = pending
        return found


def named_by(transactions: Sequence[bytes | UnsignedTransaction], context: BlockContext) -> MissingState:
    """The accounts and slots that the transactions and their block name: senders, targets, access lists, coinbase."""
    accounts = {context.coinbase}
    slots: set[tuple[bytes, int]] = set()
    for transaction in transactions:
        tx = decode(transaction) if isinstance(transaction, bytes) else transaction
        accounts.add(tx.sender)
        if tx.to:
            accounts.add(tx.to)
        for address, keys in tx.access_list:
            accounts.add(address)
            slots.update((address, key) for key in keys)
    return MissingState(accounts=accounts, slots=slots)
