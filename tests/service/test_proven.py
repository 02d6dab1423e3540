"""Proven state without any tool: the devnet's own chain is the node, in this process, and may lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flasharb.adapters.node import Node
from flasharb.adapters.proven import ProvenReader, anchor, reader_at
from flasharb.cli.checks import check_node
from flasharb.devnet.chain import Chain
from flasharb.devnet.rpc import EvmThread, Rpc, RpcError
from flasharb.devnet.traders import Traders
from flasharb.errors import NodeError, StateDisproved, StateUnavailable, UsageError
from flasharb.evm import MissingState
from flasharb.service.facts import BlockHashFact, CodeFact, FactLog
from flasharb.service.preflight import check_proofs
from flasharb.settings import Settings, Simulation
from flasharb.units import Address
from tests.support.devnet import mine, world

NOBODY = Address(b"\x77" * 20)
BLOCKS = 6


class ChainNode(Node):
    """A node over a devnet chain; ``lie`` may change what it answers, ``refused`` are methods that it does not have."""

    def __init__(self, chain: Chain) -> None:
        super().__init__("chain", 10.0, 1000)
        self.chain = chain
        self.lie: Callable[[str, list[Any], Any], Any] = lambda method, params, result: result
        self.refused: set[str] = set()
        self.asked: list[str] = []
        self._rpc = Rpc(chain, EvmThread())

    async def _exchange(self, requests: list[dict[str, Any]], what: str) -> dict[int, Any]:
        return {request["id"]: await self._reply(request) for request in requests}

    async def _reply(self, request: dict[str, Any]) -> dict[str, Any]:
        method, params = request["method"], request["params"]
        self.asked.append(method)
        if method in self.refused:
            return {"error": {"code": -32601, "message": f"the method {method} does not exist"}}
        try:
            return {"result": self.lie(method, params, await self._rpc.handle(method, params))}
        except RpcError as error:
            return {"error": error.to_json()}


@pytest.fixture(scope="module")
def traded() -> Chain:
    chain = Chain(world())
    mine(chain, Traders(chain, world(), seed=5, trades_per_slot=3.0), BLOCKS)
    return chain


@pytest.fixture
def node(traded: Chain) -> ChainNode:
    return ChainNode(traded)


def wanted(chain: Chain) -> MissingState:
    """Every account of the devnet, five slots of each, and what is not there."""
    accounts = chain.ledger.accounts
    return MissingState(
        accounts=[*accounts, NOBODY],
        slots=[(one, slot) for one, account in accounts.items() for slot in sorted(account.storage)[:5]]
        + [(NOBODY, 0), *((one, 2**200) for one in accounts)],
        block_numbers=range(1, BLOCKS + 1),
    )


@pytest.mark.parametrize("number", [1, BLOCKS])
async def test_all_of_the_devnet_is_proven_at_the_head_and_before(node: ChainNode, number: int) -> None:
    block = node.chain.block(number)
    assert block is not None
    logs = {}
    for proven in (True, False):
        missing = wanted(node.chain)
        missing = MissingState(accounts=missing.accounts, slots=missing.slots, block_numbers=range(number + 1))
        logs[proven] = FactLog()
        await (await reader_at(node, block.header.hash, proven=proven)).fetch(missing, logs[proven])
    assert set(logs[True].since(0)) == set(logs[False].since(0))
    assert len(logs[True].slots) > 100


async def test_a_code_is_asked_for_once_and_known_by_its_hash(node: ChainNode) -> None:
    """In the next block the accounts are proven again, their codes are not sent again, and still supplied."""
    head, before = node.chain.block(BLOCKS), node.chain.block(BLOCKS - 1)
    assert head is not None
    assert before is not None
    codes: dict[bytes, bytes] = {}
    supplied = []
    for block in (before, head):
        node.asked.clear()
        log = FactLog()
        await ProvenReader(node, await anchor(node, block.header.hash), codes).fetch(wanted(node.chain), log)
        supplied.append({fact for fact in log.since(0) if isinstance(fact, CodeFact)})
        assert ("eth_getCode" in node.asked) == (block is before)
    assert supplied[0] == supplied[1]
    assert len(supplied[0]) > 10


async def test_an_ancestors_hash_is_proven_by_the_headers_that_lead_to_it(node: ChainNode) -> None:
    head = node.chain.block(BLOCKS)
    assert head is not None
    reader = await reader_at(node, head.header.hash, proven=True)
    log = FactLog()
    await reader.fetch(MissingState(block_numbers=(2,)), log)
    second = node.chain.block(2)
    assert second is not None
    assert log.since(0) == [BlockHashFact(2, second.header.hash)]

    def false_header(method: str, params: list[Any], result: Any) -> Any:
        wrong = method == "eth_getBlockByNumber" and params[0] == "0x4"
        return {**result, "timestamp": "0x1"} if wrong else result

    node.lie = false_header
    with pytest.raises(StateDisproved, match="hashes to"):
        await reader.fetch(MissingState(block_numbers=(2,)), log)
    node.lie = lambda method, params, result: None if params[0] == "0x4" else result
    with pytest.raises(StateUnavailable, match=r"eth_getBlockByNumber 0x4 at block 6: is not there"):
        await reader.fetch(MissingState(block_numbers=(2,)), log)


@pytest.mark.parametrize(
    "change",
    [
        None,
        [],
        {"nonce": None},
        {"balance": "12"},
        {"balance": "0xzz"},
        {"codeHash": "0x1"},
        {"accountProof": None},
        {"accountProof": ["0x", 1]},
        {"storageProof": None},
        {"storageProof": []},
        {"storageProof": ["0x"]},
        {"storageProof": [{"key": "0x0", "value": None, "proof": []}]},
        {"storageProof": [{"key": "0x0", "value": "0x0", "proof": "0x"}]},
    ],
    ids=repr,
)
async def test_what_is_no_proof_at_all_is_the_nodes_error(node: ChainNode, change: Any) -> None:
    head = node.chain.head.header.hash
    reader = await reader_at(node, head, proven=True)
    address = next(one for one, account in node.chain.ledger.accounts.items() if account.storage)
    node.lie = lambda method, params, result: {**result, **change} if isinstance(change, dict) else change
    with pytest.raises(NodeError):
        await reader.fetch(MissingState(slots=[(address, 0)]), FactLog())


@pytest.mark.parametrize("nodes", [[], ["0x"], ["0x80"], ["0xc0"], ["0x" + "ff" * 600]])
async def test_a_proof_of_nothing_proves_no_absence(node: ChainNode, nodes: list[str]) -> None:
    """An account that exists cannot be denied, whatever is sent instead of its proof."""
    reader = await reader_at(node, node.chain.head.header.hash, proven=True)
    address = next(iter(node.chain.ledger.accounts))
    empty = {"nonce": "0x0", "balance": "0x0", "accountProof": nodes}
    node.lie = lambda method, params, result: {**result, **empty}
    with pytest.raises(StateDisproved, match="proves nothing"):
        await reader.fetch(MissingState(accounts=[address]), FactLog())


async def test_what_the_node_refuses_is_named_and_the_rest_supplied(node: ChainNode) -> None:
    reader = await reader_at(node, node.chain.head.header.hash, proven=True)
    node.refused = {"eth_getProof"}
    refused = await reader.fetch_available(MissingState(accounts=[NOBODY]), FactLog())
    assert refused is not None
    assert refused.missing.accounts == {NOBODY}
    assert "eth_getProof" in str(refused.error)


async def test_an_unknown_block_is_unavailable(node: ChainNode) -> None:
    node.lie = lambda method, params, result: None
    with pytest.raises(StateUnavailable, match="is not there"):
        await reader_at(node, node.chain.head.header.hash, proven=True)


async def test_a_node_without_proofs_is_said_before_the_run(node: ChainNode) -> None:
    """By ``run`` as wrong configuration, by ``doctor`` with its mend; without the key nobody asks for proofs."""
    asking = Settings(simulation=Simulation(verify_state=True))
    await check_proofs(asking, node)
    found, _ = await check_node(asking, node)
    assert found.ok
    node.refused = {"eth_getProof"}
    with pytest.raises(UsageError, match="needs a node that offers eth_getProof"):
        await check_proofs(asking, node)
    found, _ = await check_node(asking, node)
    assert not found.ok
    assert "eth_getProof" in found.mend
    node.asked.clear()
    await check_proofs(Settings(), node)
    assert node.asked == []
