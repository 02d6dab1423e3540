"""What a landed transaction really brought, from balances around its block: never from events, never from a promise."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the executor owns at the end of a block: the contract's wrapped ether and ETH, the signer's ETH, in wei."""

    block_number: int
    contract_token: int
    contract_wei: int
    sender_wei: int

    @property
    def total_wei(self) -> int:
        """All of it, wrapped ether at par."""
        return self.contract_token + self.contract_wei + self.sender_wei


def net_profit_wei(before: Holdings, after: Holdings) -> int:
    """The growth from the end of one block to the end of a later one: gas and bid are paid out of it already."""
    return after.total_wei - before.total_wei
