"""State that is proven: nothing is taken that the state root of the block's header does not say.

What a simulation will read is asked by ``eth_getProof`` instead of the plain calls, so that nothing unproven ever
reaches it. The header is held against the block's hash, accounts and slots against the header's state root, code
against the account's code hash, and ancestors' hashes against the chain of headers. The block's hash itself is taken
from whoever named the block: that the chain is the right one is not proven here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flasharb.adapters.node import Node, RpcFailure
from flasharb.adapters.readers import NodeReader, Refused, StateReader, read_bytes, read_number, unavailable
from flasharb.adapters.state import header_of
from flasharb.errors import NodeError, StateDisproved, StateUnavailable
from flasharb.evm import AccountInfo, MissingState
from flasharb.evm.roots import EMPTY_ROOT
from flasharb.evm.source import EMPTY_CODE_HASH
from flasharb.simulation.fork_state import Supplied
from flasharb.simulation.proofs import BadProof, ProvenAccount, proven_account, proven_slot
from flasharb.simulation.recorded import CorruptBlock, header_hash
from flasharb.units import Hash32, checksum, hex0x

_NO_ACCOUNT: Final = ProvenAccount(0, 0, EMPTY_ROOT, EMPTY_CODE_HASH)
_NO_CODE: Final = frozenset({EMPTY_CODE_HASH, bytes(32)})
"""How nodes show the code hash of an account that does not exist."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """The block whose state is asked for, its header held against its hash."""

    number: int
    hash: Hash32
    parent_hash: Hash32
    state_root: Hash32


async def anchor(node: Node, block_hash: Hash32) -> Anchor:
    """The header of a block, proven by the block's hash.

    Raises:
        StateUnavailable: the node does not have the block.
        StateDisproved: the header that it gives is another one's.
    """
    document = await node.call("eth_getBlockByHash", hex0x(block_hash), False)
    if not isinstance(document, dict):
        raise StateUnavailable(f"{node.shown_url}: block {hex0x(block_hash)} is not there")
    return _anchor(node, document, block_hash)


def _anchor(node: Node, document: Mapping[str, Any], block_hash: Hash32) -> Anchor:
    header = header_of(document)
    try:
        found = header_hash(header)
    except CorruptBlock as error:
        raise StateUnavailable(f"{node.shown_url}: block {hex0x(block_hash)}: {error}") from None
    if found != block_hash:
        raise StateDisproved(
            f"{node.shown_url}: the header that the node gives for block {hex0x(block_hash)} hashes to {hex0x(found)}"
        )
    parent_hash, state_root = Hash32(read_bytes(header["parentHash"])), Hash32(read_bytes(header["stateRoot"]))
    return Anchor(read_number(header["number"]), block_hash, parent_hash, state_root)


async def reader_at(
    node: Node, block_hash: Hash32, *, proven: bool, codes: MutableMapping[bytes, bytes] | None = None
) -> StateReader:
    """Tells the state at the end of a block; ``proven``: only what the block's own state root says.

    Raises:
        StateUnavailable: the node does not have the block.
        StateDisproved: the header that it gives is another one's.
    """
    if not proven:
        return NodeReader(node, block_hash)
    return ProvenReader(node, await anchor(node, block_hash), {} if codes is None else codes)


async def proofs_refused(node: Node) -> str | None:
    """Why the node proves no state; None: it does.

    Raises:
        NodeError: the node does not answer.
    """
    (answer,) = await node.batch([("eth_getProof", (hex0x(bytes(20)), [], "latest"))])
    return str(answer) if isinstance(answer, RpcFailure) else None


class ProvenReader(StateReader):
    """Takes only what the anchor proves. ``codes``: codes by their hash, which are asked for only once."""

    def __init__(self, node: Node, at: Anchor, codes: MutableMapping[bytes, bytes]) -> None:
        super().__init__(node)
        self._at = at
        self._codes = codes

    async def fetch_available(self, missing: MissingState, state: Supplied) -> Refused | None:
        wanted: dict[bytes, list[int]] = {address: [] for address in sorted(missing.accounts | missing.codes)}
        for address, slot in sorted(missing.slots):
            wanted.setdefault(address, []).append(slot)
        tag = {"blockHash": hex0x(self._at.hash)}
        calls: list[tuple[str, Sequence[Any]]] = [
            ("eth_getProof", (hex0x(address), [f"{slot:#066x}" for slot in slots], tag))
            for address, slots in wanted.items()
        ]
        answers = await self.node.batch(calls)
        accounts: dict[bytes, ProvenAccount | None] = {}
        refused = MissingState()
        for (address, slots), answer in zip(wanted.items(), answers, strict=True):
            if isinstance(answer, RpcFailure):
                refused |= MissingState(
                    accounts=(address,), codes=(address,), slots=[(address, slot) for slot in slots]
                )
            else:
                accounts[address] = self._account(address, answer)
                for slot, told in zip(slots, _listed(answer, "storageProof", len(slots)), strict=True):
                    state.supply_slot(address, slot, self._slot(address, accounts[address], slot, told))
        await self._fetch_codes(accounts, state)
        for address, account in accounts.items():
            info = None if account is None else AccountInfo(account.nonce, account.balance, account.code_hash)
            state.supply_account(address, info)
        if missing.block_numbers:
            await self._fetch_ancestors(missing.block_numbers, state)
        if not refused.accounts:
            return None
        return Refused(refused, unavailable(self.node, calls, answers, self._at.number))

    def _account(self, address: bytes, answer: Any) -> ProvenAccount | None:
        if not isinstance(answer, dict):
            raise NodeError(f"eth_getProof: expected an object, got {answer!r:.80}")
        code_hash = read_bytes(answer.get("codeHash"))
        told = ProvenAccount(
            read_number(answer.get("nonce")),
            read_number(answer.get("balance")),
            read_bytes(answer.get("storageHash")),
            code_hash,
        )
        what = f"account {checksum(address)}"
        try:
            proven = proven_account(self._at.state_root, address, _nodes(answer, "accountProof"))
        except BadProof as error:
            raise self._disproved(what, _shown(told), f"nothing ({error})") from None
        if proven is None and told == told._replace(nonce=0, balance=0) and code_hash in _NO_CODE:
            return None
        if told != (proven or _NO_ACCOUNT):
            raise self._disproved(what, _shown(told), "that it does not exist" if proven is None else _shown(proven))
        return proven

    def _slot(self, address: bytes, account: ProvenAccount | None, slot: int, told: Any) -> int:
        if not isinstance(told, dict):
            raise NodeError(f"eth_getProof: expected an object in storageProof, got {told!r:.80}")
        value, what = read_number(told.get("value")), f"slot {slot:#x} of {checksum(address)}"
        try:
            proven = proven_slot((account or _NO_ACCOUNT).storage_root, slot, _nodes(told, "proof"))
        except BadProof as error:
            raise self._disproved(what, f"{value:#x}", f"nothing ({error})") from None
        if value != proven:
            raise self._disproved(what, f"{value:#x}", f"{proven:#x}")
        return proven

    def _disproved(self, what: str, told: str, proven: str) -> StateDisproved:
        return StateDisproved(
            f"{self.node.shown_url}: {what} at block {self._at.number}: the node says {told}, "
            f"the state root {hex0x(self._at.state_root)} proves {proven}"
        )

    async def _fetch_codes(self, accounts: Mapping[bytes, ProvenAccount | None], state: Supplied) -> None:
        """The codes of contracts, each held against its hash; what is known by its hash is not asked for."""
        hashes = {address: account.code_hash for address, account in accounts.items() if account is not None}
        unknown = {
            code_hash: address
            for address, code_hash in hashes.items()
            if code_hash != EMPTY_CODE_HASH and code_hash not in self._codes
        }
        tag = {"blockHash": hex0x(self._at.hash)}
        calls: list[tuple[str, Sequence[Any]]] = [("eth_getCode", (hex0x(one), tag)) for one in unknown.values()]
        answers = await self.node.batch(calls)
        if any(isinstance(answer, RpcFailure) for answer in answers):
            raise unavailable(self.node, calls, answers, self._at.number)
        for (code_hash, address), answer in zip(unknown.items(), answers, strict=True):
            code = read_bytes(answer)
            found = state.supply_code(code)
            if found != code_hash:
                what = f"code of {checksum(address)}"
                raise self._disproved(what, f"{len(code)} bytes with hash {hex0x(found)}", f"hash {hex0x(code_hash)}")
            self._codes[code_hash] = code
        for code_hash in {*hashes.values()} - {*unknown}:
            state.supply_code(self._codes.get(code_hash, b""))

    async def _fetch_ancestors(self, numbers: Iterable[int], state: Supplied) -> None:
        """Hashes of ancestors, by the headers that lead to them: each holds the hash of the one before."""
        wanted = sorted(number for number in numbers if number < self._at.number)
        if self._at.number in numbers:
            state.supply_block_hash(self._at.number, self._at.hash)
        if not wanted:
            return
        between = range(self._at.number - 1, wanted[0] - 1, -1)
        calls: list[tuple[str, Sequence[Any]]] = [("eth_getBlockByNumber", (hex(number), False)) for number in between]
        answers = await self.node.batch(calls)
        child = self._at
        for number, answer in zip(between, answers, strict=True):
            if not isinstance(answer, dict):
                raise unavailable(self.node, calls, answers, self._at.number)
            child = _anchor(self.node, answer, child.parent_hash)
            if number in wanted:
                state.supply_block_hash(number, child.hash)


def _listed(answer: Any, name: str, count: int | None = None) -> list[Any]:
    value = answer.get(name)
    if not isinstance(value, list) or (count is not None and len(value) != count):
        raise NodeError(f"eth_getProof: {name} is not the list that belongs there: {value!r:.80}")
    return value


def _nodes(answer: Any, name: str) -> list[bytes]:
    return [read_bytes(node) for node in _listed(answer, name)]


def _shown(account: ProvenAccount) -> str:
    return (
        f"nonce {account.nonce}, balance {account.balance}, storage root {hex0x(account.storage_root)}, "
        f"code hash {hex0x(account.code_hash)}"
    )
