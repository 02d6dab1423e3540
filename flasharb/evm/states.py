"""One state class per fork and engine: py-evm's, over a source instead of a database."""

from __future__ import annotations

from functools import cache
from typing import Any, Final, Literal

from eth.constants import MAX_PREV_HEADER_DEPTH
from eth.vm.execution_context import ExecutionContext
from eth.vm.forks.berlin.state import BerlinState
from eth.vm.forks.cancun.state import CancunState
from eth.vm.forks.london.state import LondonState
from eth.vm.forks.paris.state import ParisState
from eth.vm.forks.prague.state import PragueState
from eth.vm.forks.shanghai.state import ShanghaiState

from flasharb.evm.blobs import blob_base_fee
from flasharb.evm.compiled import compiled
from flasharb.evm.computation import plain
from flasharb.evm.context import BlockContext
from flasharb.evm.flat import FlatAccountDB
from flasharb.evm.forks import Fork
from flasharb.evm.osaka import OsakaState
from flasharb.evm.source import StateSource
from flasharb.evm.stock import LoadingAccountDB

Engine = Literal["py-evm", "stock"]

_BASES: Final[dict[Fork, Any]] = {
    Fork.BERLIN: BerlinState,
    Fork.LONDON: LondonState,
    Fork.PARIS: ParisState,
    Fork.SHANGHAI: ShanghaiState,
    Fork.CANCUN: CancunState,
    Fork.PRAGUE: PragueState,
    Fork.OSAKA: OsakaState,
    Fork.BPO1: OsakaState,
    Fork.BPO2: OsakaState,
}


def _ancestor_hash(state: Any, block_number: int) -> bytes:
    depth = state.block_number - block_number - 1
    if depth < 0 or depth >= MAX_PREV_HEADER_DEPTH or block_number < 0:
        return b""
    if depth == 0:
        parent_hash: bytes = state.block_context.parent_hash
        return parent_hash
    ancestor: bytes = state._account_db.loader.block_hash(block_number)
    return ancestor


def _blob_base_fee(fork: Fork) -> property:
    # py-evm knows the fractions of two forks only.
    return property(lambda state: blob_base_fee(fork, state.execution_context.excess_blob_gas))


def _execution_context(block: BlockContext) -> ExecutionContext:
    return ExecutionContext(
        coinbase=block.coinbase,  # type: ignore[arg-type]  # py-evm's Address is bytes
        timestamp=block.timestamp,
        block_number=block.number,  # type: ignore[arg-type]  # py-evm's BlockNumber is int
        difficulty=block.difficulty,
        mix_hash=block.prev_randao,  # type: ignore[arg-type]  # py-evm's Hash32 is bytes
        gas_limit=block.gas_limit,
        prev_hashes=(),
        chain_id=block.chain_id,
        base_fee_per_gas=block.base_fee_per_gas,
        excess_blob_gas=block.excess_blob_gas,
    )


@cache
def flat_state(fork: Fork) -> Any:
    """The state class of ``fork`` over a flat database, whose computations run compiled code."""
    base = _BASES[fork]

    class FlatState(base):  # type: ignore[misc, valid-type]  # one class per fork, made from py-evm's
        account_db_class = FlatAccountDB
        computation_class = compiled(base.computation_class)
        get_ancestor_hash = _ancestor_hash
        blob_base_fee = _blob_base_fee(fork)
        traces = False

        def __init__(self, source: StateSource, block: BlockContext) -> None:
            self._db = None
            self.block_context = block
            self.execution_context = _execution_context(block)
            self._account_db = FlatAccountDB(source)
            self.preimages: dict[int, bytes] | None = getattr(source, "preimages", None)

        def snapshot(self) -> Any:
            return self._account_db.record()

        def revert(self, snapshot: int) -> None:
            self._account_db.discard(snapshot)

        def commit(self, snapshot: int) -> None:
            pass

        def get_transient_storage(self, address: bytes, slot: int) -> bytes:
            return self._account_db.get_transient(address, slot)

        def set_transient_storage(self, address: bytes, slot: int, value: bytes) -> None:
            self._account_db.set_transient(address, slot, value)

        def clear_transient_storage(self) -> None:
            self._account_db.clear_transient()

    FlatState.__name__ = FlatState.__qualname__ = f"Flat{base.__name__}"
    return FlatState


@cache
def stock_state(fork: Fork) -> Any:
    """py-evm's state class of ``fork``, over its own account database fed from a source."""
    base = _BASES[fork]

    class StockState(base):  # type: ignore[misc, valid-type]  # one class per fork, made from py-evm's
        account_db_class = LoadingAccountDB
        computation_class = plain(base.computation_class)
        get_ancestor_hash = _ancestor_hash
        blob_base_fee = _blob_base_fee(fork)

        def __init__(self, source: StateSource, block: BlockContext) -> None:
            self._db = None
            self.block_context = block
            self.execution_context = _execution_context(block)
            self._account_db = LoadingAccountDB(source)
            self.preimages: dict[int, bytes] | None = getattr(source, "preimages", None)

    StockState.__name__ = StockState.__qualname__ = f"Stock{base.__name__}"
    return StockState
