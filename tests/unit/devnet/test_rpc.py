"""The node's answers have the shapes and the error codes that clients of real nodes rely on."""

from __future__ import annotations

from typing import Any

import pytest

from flasharb.devnet.abi import call_data
from flasharb.devnet.chain import Built, Chain
from flasharb.devnet.layout import CONTRACTS
from flasharb.devnet.rpc import EvmThread, Rpc, RpcError
from flasharb.devnet.transactions import decode
from flasharb.devnet.world import World
from flasharb.simulation.proofs import proven_account, proven_slot
from flasharb.simulation.recorded import header_hash
from flasharb.units import checksum, hex0x
from tests.support.devnet import GWEI, swap_data, transfer

Traded = tuple[Chain, list[Built]]
WETH = checksum(CONTRACTS["weth"])


def node(chain: Chain) -> Rpc:
    return Rpc(chain, EvmThread())


async def refusal(rpc: Rpc, method: str, *params: Any) -> RpcError:
    with pytest.raises(RpcError) as caught:
        await rpc.handle(method, params)
    return caught.value


async def test_names_its_chain(chain: Chain) -> None:
    rpc = node(chain)

    assert await rpc.handle("eth_chainId", []) == "0xf1a5"
    assert await rpc.handle("net_version", []) == "61861"
    assert await rpc.handle("eth_blockNumber", []) == "0x0"
    assert await rpc.handle("eth_syncing", []) is False


async def test_blocks_by_number_and_hash_are_the_same_and_hash_to_their_hash(traded: Traded) -> None:
    chain, blocks = traded
    rpc = node(chain)
    for built in blocks:
        by_number = await rpc.handle("eth_getBlockByNumber", [hex(built.block.number), False])

        assert by_number == await rpc.handle("eth_getBlockByHash", [by_number["hash"], False])
        assert by_number["hash"] == hex0x(header_hash(by_number))
        assert by_number["transactions"] == [hex0x(t.hash) for t in built.block.transactions]
    latest = await rpc.handle("eth_getBlockByNumber", ["latest", True])
    assert latest["number"] == hex(len(blocks))
    assert [t["hash"] for t in latest["transactions"]] == [hex0x(t.hash) for t in blocks[-1].block.transactions]
    assert await rpc.handle("eth_getBlockByNumber", ["0xffff", False]) is None
    assert await rpc.handle("eth_getBlockByHash", ["0x" + "11" * 32, False]) is None


async def test_receipts_logs_and_transactions_agree(traded: Traded) -> None:
    chain, blocks = traded
    rpc = node(chain)
    count = 0
    for built in blocks:
        number = hex(built.block.number)
        receipts = await rpc.handle("eth_getBlockReceipts", [number])
        logs = await rpc.handle("eth_getLogs", [{"fromBlock": number, "toBlock": number}])

        assert logs == [log for receipt in receipts for log in receipt["logs"]]
        assert logs == await rpc.handle("eth_getLogs", [{"blockHash": hex0x(built.block.header.hash)}])
        assert [int(log["logIndex"], 16) for log in logs] == list(range(len(logs)))
        for receipt in receipts:
            assert receipt == await rpc.handle("eth_getTransactionReceipt", [receipt["transactionHash"]])
            transaction = await rpc.handle("eth_getTransactionByHash", [receipt["transactionHash"]])
            assert transaction["from"] == receipt["from"]
            assert transaction["gasPrice"] == receipt["effectiveGasPrice"]
            raw = await rpc.handle("eth_getRawTransactionByHash", [receipt["transactionHash"]])
            assert hex0x(decode(bytes.fromhex(raw[2:])).hash) == receipt["transactionHash"]
            count += 1
    assert count > len(blocks)
    assert await rpc.handle("eth_getTransactionReceipt", ["0x" + "11" * 32]) is None


async def test_logs_are_filtered_by_address_and_topics(traded: Traded) -> None:
    chain, _ = traded
    rpc = node(chain)
    everything = await rpc.handle("eth_getLogs", [{"fromBlock": "earliest", "toBlock": "latest"}])
    first = everything[0]
    transfer_topic, sender = first["topics"][:2]

    async def found(**query: Any) -> list[Any]:
        result: list[Any] = await rpc.handle("eth_getLogs", [{"fromBlock": "0x0", "toBlock": "latest", **query}])
        return result

    mixed = checksum(bytes.fromhex(first["address"][2:]))
    assert await found(address=mixed) == [log for log in everything if log["address"] == first["address"]]
    assert await found(topics=[transfer_topic]) == [log for log in everything if log["topics"][0] == transfer_topic]
    assert await found(topics=[None, [sender, "0x" + "00" * 32]]) == [
        log for log in everything if len(log["topics"]) > 1 and log["topics"][1] in (sender, "0x" + "00" * 32)
    ]
    assert await found(topics=[[], None, None, None]) == [log for log in everything if len(log["topics"]) == 4]
    assert await found(address=[]) == everything
    assert len({log["address"] for log in everything}) > 2


async def test_state_is_answered_at_recent_blocks_and_by_hash(chain: Chain, world: World) -> None:
    rpc = node(chain)
    builder, trader = checksum(world.names["builder"]), checksum(world.names["trader_0"])
    chain.add_transaction(decode(transfer(chain, value=5, fees=(0, 10 * GWEI))))
    chain.mine(0)
    before = int(await rpc.handle("eth_getBalance", [builder, "0x0"]), 16)
    by_hash = {"blockHash": hex0x(chain.genesis.header.hash)}
    nonce = world.accounts()[world.names["trader_0"]].nonce

    assert int(await rpc.handle("eth_getBalance", [builder, "latest"]), 16) == before + 5
    assert int(await rpc.handle("eth_getBalance", [builder, by_hash]), 16) == before
    assert await rpc.handle("eth_getTransactionCount", [trader, "0x0"]) == hex(nonce)
    assert await rpc.handle("eth_getTransactionCount", [trader, "latest"]) == hex(nonce + 1)
    assert await rpc.handle("eth_getCode", [trader, "latest"]) == "0x"
    assert (await rpc.handle("eth_getCode", [WETH, "latest"])).startswith("0x60")
    nobody = "0x" + "77" * 20
    assert await rpc.handle("eth_getBalance", [nobody, "latest"]) == "0x0"
    assert await rpc.handle("eth_getStorageAt", [nobody, "0x0", "latest"]) == "0x" + "00" * 32
    assert await rpc.handle("eth_getStorageAt", [WETH, "0x2", "latest"]) == "0x" + "00" * 31 + "12"


async def test_state_older_than_the_history_is_an_error_not_an_empty_answer(chain: Chain) -> None:
    rpc = node(chain)
    for _ in range(130):
        chain.mine(0)

    error = await refusal(rpc, "eth_getBalance", WETH, "0x0")
    assert (error.code, error.message) == (-32000, "state of block 0 is not available (known: 2 to 130)")
    assert (await refusal(rpc, "eth_getBalance", WETH, "0x83")).code == -32000
    assert (await refusal(rpc, "eth_call", {"to": WETH}, {"blockHash": "0x" + "11" * 32})).message == "header not found"
    assert (await rpc.handle("eth_getBlockByNumber", ["0x0", False]))["number"] == "0x0"


async def test_calls_return_data_and_report_reverts_with_theirs(chain: Chain, world: World) -> None:
    rpc = node(chain)
    lp = world.names["lp"]
    held = await rpc.handle("eth_call", [{"to": WETH, "data": hex0x(call_data("balanceOf(address)", lp))}, "latest"])
    router = checksum(CONTRACTS["uniswap_v2_router"])
    request = {"to": router, "from": checksum(lp), "input": hex0x(swap_data(10**30, lp))}
    error = await refusal(rpc, "eth_call", request, "latest")

    assert int(held, 16) > 0
    assert error.code == 3
    assert error.message == "execution reverted"
    assert error.data is not None
    assert error.data.startswith("0x08c379a0")
    assert (await refusal(rpc, "eth_estimateGas", request)).code == 3


async def test_a_gas_estimate_is_enough_and_not_much_more(chain: Chain, world: World) -> None:
    rpc = node(chain)
    sender, router = world.names["trader_0"], CONTRACTS["uniswap_v2_router"]
    data = swap_data(10**18, sender)
    request = {"from": checksum(sender), "to": checksum(router), "data": hex0x(data)}
    estimate = int(await rpc.handle("eth_estimateGas", [request]), 16)
    for limit in (estimate, estimate * 97 // 100):
        fresh = Chain(world)
        raw = transfer(fresh, to=router, value=0, data=data, gas_limit=limit, fees=(0, 10 * GWEI))
        fresh.add_transaction(decode(raw))

        assert fresh.mine(0).block.receipts[0].status == (limit == estimate)
    plain = {"from": checksum(sender), "to": "0x" + "77" * 20, "value": "0x1"}
    assert await rpc.handle("eth_estimateGas", [plain]) == "0x5208"


async def test_a_sent_transaction_is_pending_then_included(chain: Chain, world: World) -> None:
    rpc = node(chain)
    trader = checksum(world.names["trader_0"])
    nonce = world.accounts()[world.names["trader_0"]].nonce
    raw = transfer(chain)
    transaction_hash = await rpc.handle("eth_sendRawTransaction", [hex0x(raw)])

    assert (await rpc.handle("eth_getTransactionByHash", [transaction_hash]))["blockNumber"] is None
    assert await rpc.handle("eth_getTransactionCount", [trader, "pending"]) == hex(nonce + 1)
    assert await rpc.handle("eth_getTransactionReceipt", [transaction_hash]) is None

    chain.mine(0)

    assert (await rpc.handle("eth_getTransactionByHash", [transaction_hash]))["blockNumber"] == "0x1"
    assert (await rpc.handle("eth_getTransactionReceipt", [transaction_hash]))["status"] == "0x1"


async def test_fee_history_ends_with_the_next_base_fee(chain: Chain) -> None:
    rpc = node(chain)
    chain.add_transaction(decode(transfer(chain, fees=(GWEI, 10 * GWEI))))
    chain.mine(0)
    history = await rpc.handle("eth_feeHistory", ["0x4", "latest", [50]])
    next_fee = int(history["baseFeePerGas"][-1], 16)

    assert history["oldestBlock"] == "0x0"
    assert len(history["baseFeePerGas"]) == 3
    assert history["reward"] == [["0x0"], [hex(GWEI)]]
    assert history["gasUsedRatio"] == [0.0, 21_000 / 30_000_000]
    assert chain.mine(0).block.header.base_fee_per_gas == next_fee
    assert int(await rpc.handle("eth_gasPrice", []), 16) > next_fee * 7 // 8


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("eth_mining", [], -32601),
        ("eth_getBalance", [], -32602),
        ("eth_getBalance", ["0x12", "latest"], -32602),
        ("eth_getBalance", ["0x" + "zz" * 20, "latest"], -32602),
        ("eth_getBalance", [WETH, "soon"], -32602),
        ("eth_getBalance", [WETH, "latest", 1], -32602),
        ("eth_getBlockByNumber", ["0x0", False, False], -32602),
        ("eth_getLogs", [{"topics": ["0x12"]}], -32602),
        ("eth_getLogs", [{"fromBlock": "0x2", "toBlock": "0x1"}], -32602),
        ("eth_getLogs", [{"blockHash": "0x" + "11" * 32, "fromBlock": "0x1"}], -32602),
        ("eth_getLogs", [{"blockHash": "0x" + "11" * 32}], -32000),
        ("eth_call", [{}, "latest"], -32602),
        ("eth_call", ["0x", "latest"], -32602),
        ("eth_sendRawTransaction", ["0x1234"], -32000),
        ("eth_sendRawTransaction", ["1234"], -32602),
    ],
)
async def test_wrong_requests_get_their_code(chain: Chain, method: str, params: list[Any], code: int) -> None:
    assert (await refusal(node(chain), method, *params)).code == code


async def test_recent_states_are_proven_as_the_plain_calls_tell_them(traded: Traded) -> None:
    """Every account and slot that the blocks changed, at each block, against the state root of its header."""
    chain, blocks = traded
    rpc = node(chain)
    proven = 0
    for built in blocks:
        tag = hex(built.block.number)
        root = built.block.header.state_root
        for address, change in built.changes.items():
            slots = sorted(change.slots)[:5] if change is not None else []
            answer = await rpc.handle("eth_getProof", [hex0x(address), [hex(slot) for slot in slots], tag])
            account = proven_account(root, address, [bytes.fromhex(one[2:]) for one in answer["accountProof"]])
            assert account is not None
            assert (
                hex(account.balance) == answer["balance"] == await rpc.handle("eth_getBalance", [hex0x(address), tag])
            )
            for slot, told in zip(slots, answer["storageProof"], strict=True):
                nodes = [bytes.fromhex(one[2:]) for one in told["proof"]]
                plain = await rpc.handle("eth_getStorageAt", [hex0x(address), hex(slot), tag])
                assert proven_slot(account.storage_root, slot, nodes) == int(told["value"], 16) == int(plain, 16)
                proven += 1
    assert proven > 50
    unknown = await refusal(rpc, "eth_getProof", WETH, [], "0xffff")
    assert unknown.code == -32000
