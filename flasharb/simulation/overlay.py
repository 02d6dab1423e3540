"""A source with some slots replaced: what would a contract say if it stood otherwise?"""

from __future__ import annotations

from collections.abc import Mapping

from flasharb.evm import AccountInfo, StateSource


class Overlay:
    """``base`` with the values of ``slots``, by (account, slot). Never asks the base for a slot that it replaces."""

    def __init__(self, base: StateSource, slots: Mapping[tuple[bytes, int], int]) -> None:
        self._base = base
        self._slots = dict(slots)
        # whose mapping a slot belongs to, the base may have to tell (see StateSource)
        self.preimages: dict[int, bytes] | None = getattr(base, "preimages", None)

    def account(self, address: bytes) -> AccountInfo | None:
        return self._base.account(address)

    def storage(self, address: bytes, slot: int) -> int:
        value = self._slots.get((address, slot))
        return self._base.storage(address, slot) if value is None else value

    def code(self, code_hash: bytes) -> bytes:
        return self._base.code(code_hash)

    def block_hash(self, number: int) -> bytes:
        return self._base.block_hash(number)
