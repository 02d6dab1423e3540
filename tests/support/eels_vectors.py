"""Writes tests/vectors/osaka.json: what the execution specs (EELS) answer under Osaka, BPO1 and BPO2 rules.

Run by ``just eels-vectors`` in an environment that has ``ethereum-execution`` and nothing of this project: its pinned
libraries do not fit ours. The same version gives the same file.

Three kinds of vectors: ``calls`` (a message to a precompile or to code), ``transactions`` (whole ones on a small
world, valid and invalid), ``excess`` (excess blob gas and its price after a parent block).
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import random
import sys
from typing import Any

from coincurve import PrivateKey
from cryptography.hazmat.primitives.asymmetric import ec
from ethereum.crypto.hash import keccak256
from ethereum_rlp import rlp
from ethereum_types.bytes import Bytes20, Bytes32
from ethereum_types.numeric import U64, U256, Uint

FORKS = ("osaka", "bpo1", "bpo2")
CHAIN_ID = 61_861
GWEI = 10**9
ETHER = 10**18
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
MODEXP = bytes(19) + b"\x05"
P256VERIFY = bytes(18) + b"\x01\x00"
CONTRACT = b"\xc0" * 20
COINBASE = b"\xcb" * 20
SIGNER = PrivateKey(b"\x11" * 32)
AUTHORITY = PrivateKey(b"\x22" * 32)
BLOCK = {"number": 100, "timestamp": 1_000_000, "gas_limit": 60_000_000, "base_fee": GWEI, "prev_randao": "07" * 32}
RANDOM = random.Random(7_951)


def address_of(key: PrivateKey) -> bytes:
    """The account of a key."""
    return bytes(keccak256(key.public_key.format(compressed=False)[1:]))[12:]


SENDER = address_of(SIGNER)


class Eels:
    """One fork of the execution specs, on a small world."""

    def __init__(self, fork: str, world: dict[bytes, dict[str, Any]], excess_blob_gas: int = 0) -> None:
        name = f"ethereum.forks.{fork}"
        self.fork = importlib.import_module(f"{name}.fork")
        self.types = importlib.import_module(f"{name}.fork_types")
        self.state_module = importlib.import_module(f"{name}.state")
        self.vm = importlib.import_module(f"{name}.vm")
        self.interpreter = importlib.import_module(f"{name}.vm.interpreter")
        self.transactions = importlib.import_module(f"{name}.transactions")
        self.mapping = importlib.import_module(f"{name}.vm.precompiled_contracts.mapping")
        self.state = self.state_module.State()
        for address, account in world.items():
            fields = Uint(account["nonce"]), U256(account["balance"]), bytes.fromhex(account["code"])
            self.state_module.set_account(self.state, Bytes20(address), self.types.Account(*fields))
            for slot, value in account["storage"].items():
                key = Bytes32(int(slot, 16).to_bytes(32, "big"))
                self.state_module.set_storage(self.state, Bytes20(address), key, U256(int(value, 16)))
        self.env = self.vm.BlockEnvironment(
            chain_id=U64(CHAIN_ID),
            state=self.state,
            block_gas_limit=Uint(BLOCK["gas_limit"]),
            block_hashes=[],
            coinbase=Bytes20(COINBASE),
            number=Uint(BLOCK["number"]),
            base_fee_per_gas=Uint(BLOCK["base_fee"]),
            time=U256(BLOCK["timestamp"]),
            prev_randao=Bytes32(bytes.fromhex(BLOCK["prev_randao"])),
            excess_blob_gas=U64(excess_blob_gas),
            parent_beacon_block_root=Bytes32(bytes(32)),
        )

    def call(self, to: bytes, data: bytes, gas: int) -> dict[str, Any]:
        """Send a message; success, gas used and output."""
        tx_env = self.vm.TransactionEnvironment(
            origin=Bytes20(SENDER),
            gas_price=Uint(0),
            gas=Uint(gas),
            access_list_addresses=set(),
            access_list_storage_keys=set(),
            transient_storage=self.state_module.TransientStorage(),
            blob_versioned_hashes=(),
            authorizations=(),
            index_in_block=Uint(0),
            tx_hash=None,
        )
        message = self.vm.Message(
            block_env=self.env,
            tx_env=tx_env,
            caller=Bytes20(SENDER),
            target=Bytes20(to),
            current_target=Bytes20(to),
            gas=Uint(gas),
            value=U256(0),
            data=data,
            code_address=Bytes20(to),
            code=self.state_module.get_account(self.state, Bytes20(to)).code,
            depth=Uint(0),
            should_transfer_value=True,
            is_static=False,
            accessed_addresses={*self.mapping.PRE_COMPILED_CONTRACTS, Bytes20(to)},
            accessed_storage_keys=set(),
            disable_precompiles=False,
            parent_evm=None,
        )
        output = self.interpreter.process_message_call(message)
        data = bytes(output.return_data)
        shown = {"output": data.hex()} if len(data) <= 64 else {"output_hash": bytes(keccak256(data)).hex()}
        return {"success": output.error is None, "gas_used": gas - int(output.gas_left), **shown}

    def transact(self, raw: bytes) -> dict[str, Any]:
        """Execute a transaction in the block; what its receipt and the state say, or why it is invalid."""
        typed = raw[0] < 0x80
        output = self.vm.BlockOutput()
        try:
            decoded = raw if typed else rlp.decode_to(self.transactions.LegacyTransaction, raw)
            tx = self.transactions.decode_transaction(decoded)
            self.fork.process_transaction(self.env, output, tx, Uint(0))
        except Exception as error:  # noqa: BLE001 - every refusal of the specs is an exception of its own
            return {"invalid": type(error).__name__}
        receipt = output.receipts_trie._data[rlp.encode(Uint(0))]
        receipt = receipt if isinstance(receipt, bytes) else rlp.encode(receipt)
        return {
            "gas_used": int(output.block_gas_used),
            "blob_gas_used": int(output.blob_gas_used),
            "receipt": bytes(receipt).hex() if len(receipt) < 64 else bytes(keccak256(receipt)).hex(),
            "state_root": bytes(self.state_module.state_root(self.state)).hex(),
        }


# Messages


def word(value: int) -> bytes:
    """32 bytes."""
    return value.to_bytes(32, "big")


def clz_calls() -> list[dict[str, Any]]:
    """Every bit alone, every run of ones, random words, and gas that is just enough or not."""
    words = [0, *(1 << bit for bit in range(0, 256, 3)), *((1 << bit) - 1 for bit in range(1, 257, 5))]
    words += [RANDOM.getrandbits(RANDOM.randrange(1, 257)) for _ in range(40)]
    code = "5f351e5f5260205ff3"  # CLZ of the call data's first word, returned
    calls = [_call(CONTRACT, word(value), 100_000, code) for value in words]
    calls += [_call(CONTRACT, word(5), gas, code) for gas in range(36)]
    calls.append(_call(CONTRACT, b"", 100_000, "1e"))  # nothing on the stack
    return calls


def modexp_calls() -> list[dict[str, Any]]:
    """Values and gas for many lengths, the bounds of each length, cut input, gas that is just enough or not."""
    calls = []
    for _ in range(160):
        lengths = [RANDOM.choice((0, 1, 2, 7, 8, 9, 31, 32, 33, 40, 64, 65)) for _ in range(3)]
        body = RANDOM.randbytes(sum(lengths))
        if RANDOM.random() < 0.2:
            body = body[: RANDOM.randrange(len(body) + 1)]
        calls.append(_modexp(lengths, body))
    for _ in range(60):
        lengths = [RANDOM.randrange(0, 1025), RANDOM.choice((0, 1, 32, 33, 256, 1024)), RANDOM.randrange(0, 1025)]
        calls.append(_modexp(lengths, RANDOM.randbytes(RANDOM.randrange(40))))
    for at in range(3):
        for length in (1023, 1024, 1025, 1 << 32, (1 << 256) - 1):
            lengths = [1, 1, 1]
            lengths[at] = length
            calls.append(_modexp(lengths, b"\x03"))
            lengths = [0, 0, 0]
            lengths[at] = length
            calls.append(_modexp(lengths, b"\x03"))
    for lengths, head in (
        ([1, 1, 1], b"\x03\xff\x07"),
        ([64, 33, 64], bytes(64) + b"\x80"),
        ([0, 32, 0], b"\xff" * 32),
    ):
        calls += [
            {**_modexp(lengths, head), "gas": gas} for gas in (499, 500, 501, 8_191, 8_192, 34_687, 34_688, 34_689)
        ]
    calls += [_call(MODEXP, bytes(size), 100_000) for size in (0, 1, 31, 32, 33, 95, 96, 97)]
    return calls


def _modexp(lengths: list[int], body: bytes) -> dict[str, Any]:
    return _call(MODEXP, b"".join(map(word, lengths)) + body, 50_000_000)


def p256_calls() -> list[dict[str, Any]]:
    """Signatures that are right, and every way to be wrong."""
    calls = []
    for _ in range(40):
        secret, nonce = RANDOM.randrange(1, N), RANDOM.randrange(1, N)
        digest = RANDOM.getrandbits(256)
        x, y = _point(secret)
        r = _point(nonce)[0] % N
        s = pow(nonce, -1, N) * (digest + r * secret) % N
        right = (digest, r, s, x, y)
        calls.append(_p256(right))
        calls.append(_p256((digest, r, N - s, x, y)))  # as right as the first: there is no rule for s
        at = RANDOM.randrange(5)
        wrong = list(right)
        wrong[at] ^= 1 << RANDOM.randrange(256)
        calls.append(_p256(wrong))
    digest, r, s, x, y = right
    for value in (0, 1, N - 1, N, N + 1, (1 << 256) - 1):
        calls += [_p256((digest, value, s, x, y)), _p256((digest, r, value, x, y))]
    for value in (0, 1, P - 1, P, P + 1, (1 << 256) - 1):
        calls += [_p256((digest, r, s, value, y)), _p256((digest, r, s, x, value)), _p256((value, r, s, x, y))]
    calls += [_p256((digest, r, s, 0, 0)), _p256((0, 0, 0, 0, 0)), _p256((digest, r, s, x, P - y))]
    # The sum of both products is infinity: digest * G + r * Q with Q = -(digest / r) * G.
    secret = -digest * pow(r, -1, N) % N
    calls.append(_p256((digest, r, s, *_point(secret))))
    # Both products are the same point: the addition is a doubling.
    calls.append(_p256((digest, r, s, *_point(digest * pow(r, -1, N) % N))))
    # r is the x coordinate of a point less N: the comparison is modulo N.
    calls += _wrapped()
    data = b"".join(map(word, right))
    calls += [_call(P256VERIFY, data[:size], 10_000) for size in (0, 1, 32, 128, 159)]
    calls += [_call(P256VERIFY, data + bytes(1), 10_000), _call(P256VERIFY, bytes(160), 10_000)]
    calls += [_call(P256VERIFY, data, gas) for gas in (0, 6_899, 6_900, 6_901)]
    return calls


def _wrapped() -> list[dict[str, Any]]:
    """A signature whose nonce's point has an x coordinate of N or more, with r = x - N (and with r = x, refused)."""
    for x in range(N, N + 2_000):
        square = (pow(x, 3, P) - 3 * x + 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B) % P
        y = pow(square, (P + 1) // 4, P)
        if y * y % P == square and x - N > 0:
            break
    r, s, digest = x - N, 1_234_567, 89
    # Q = (s * R - digest * G) / r
    key = _mul(_add(_mul((x, y), s), _mul(_generator(), -digest % N)), pow(r, -1, N))
    return [_p256((digest, r, s, *key)), _p256((digest, x, s, *key))]


def _generator() -> tuple[int, int]:
    return _point(1)


def _point(secret: int) -> tuple[int, int]:
    numbers = ec.derive_private_key(secret, ec.SECP256R1()).public_key().public_numbers()
    return numbers.x, numbers.y


def _add(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    if a == b:
        slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def _mul(point: tuple[int, int], times: int) -> tuple[int, int]:
    total = None
    while times:
        if times & 1:
            total = point if total is None else _add(total, point)
        point, times = _add(point, point), times >> 1
    assert total is not None
    return total


def _p256(numbers: Any) -> dict[str, Any]:
    return _call(P256VERIFY, b"".join(map(word, numbers)), 10_000)


def _call(to: bytes, data: bytes, gas: int, code: str = "") -> dict[str, Any]:
    call = {"to": to.hex(), "data": data.hex(), "gas": gas}
    return {**call, "code": code} if code else call


# Transactions


def number(value: int) -> bytes:
    """A number as RLP has it."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def signed(kind: int, fields: list[Any]) -> bytes:
    """A signed transaction: ``fields`` without the signature (a legacy one is signed for the chain)."""
    head = bytes([kind]) if kind else b""
    tail: list[Any] = [] if kind else [number(CHAIN_ID), b"", b""]
    signature = SIGNER.sign_recoverable(bytes(keccak256(head + rlp.encode([*fields, *tail]))), hasher=None)
    v = signature[64] if kind else signature[64] + 35 + 2 * CHAIN_ID
    r, s = (number(int.from_bytes(signature[at : at + 32], "big")) for at in (0, 32))
    return head + bytes(rlp.encode([*fields, number(v), r, s]))


def legacy(to: bytes, data: bytes = b"", gas: int = 100_000, value: int = 0) -> bytes:
    """A type-0 transaction."""
    return signed(0, [b"", number(2 * GWEI), number(gas), to, number(value), data])


def with_list(to: bytes, slots: list[int], gas: int = 100_000) -> bytes:
    """A type-1 transaction with one entry in its access list."""
    entry = [to, [word(slot) for slot in slots]]
    return signed(1, [number(CHAIN_ID), b"", number(2 * GWEI), number(gas), to, b"", b"", [entry]])


def priced(to: bytes, data: bytes = b"", gas: int = 100_000, tip: int = GWEI, most: int = 3 * GWEI) -> bytes:
    """A type-2 transaction."""
    fields = [number(CHAIN_ID), b"", number(tip), number(most), number(gas), to, b"", data, []]
    return signed(2, fields)


def with_blobs(count: int, blob_fee: int, to: bytes = CONTRACT, version: int = 1) -> bytes:
    """A type-3 transaction."""
    hashes = [bytes([version]) + bytes([n]) * 31 for n in range(count)]
    head = [number(CHAIN_ID), b"", number(GWEI), number(3 * GWEI), number(200_000), to, b"", word(1)]
    return signed(3, [*head, [], number(blob_fee), hashes])


def with_authorization(target: bytes, chain_id: int = CHAIN_ID, nonce: int = 0, gas: int = 200_000) -> bytes:
    """A type-4 transaction by which ``AUTHORITY`` delegates to ``target``, calling it."""
    digest = bytes(keccak256(b"\x05" + rlp.encode([number(chain_id), target, number(nonce)])))
    signature = AUTHORITY.sign_recoverable(digest, hasher=None)
    r, s = (number(int.from_bytes(signature[at : at + 32], "big")) for at in (0, 32))
    entry = [number(chain_id), target, number(nonce), number(signature[64]), r, s]
    head = [number(CHAIN_ID), b"", number(GWEI), number(3 * GWEI), number(gas), address_of(AUTHORITY), b"", word(7)]
    return signed(4, [*head, [], [entry]])


# Stores CLZ, BLOBBASEFEE, BLOBHASH(0), the answers of MODEXP (3 ** 5 % 7) and P256VERIFY (of its call data), and logs.
PROBE = (
    "5f351e600155"  # sstore(1, clz(calldataload(0)))
    "4a600255"  # sstore(2, blobbasefee)
    "5f49600355"  # sstore(3, blobhash(0))
    "60015f52600160205260016040526003606053600560615360076062536020608060635f60055afa600455608051600555"
    "365f6080376020610200366080610100617530fa6006556102005160075560206102005fa0"
    "00"
)


def worlds() -> dict[str, dict[str, dict[str, Any]]]:
    """The accounts before each transaction."""

    def account(balance: int = 0, code: str = "", nonce: int = 0, storage: dict[str, str] | None = None) -> Any:
        return {"nonce": nonce, "balance": balance, "code": code, "storage": storage or {}}

    return {
        "probe": {
            SENDER.hex(): account(10 * ETHER),
            CONTRACT.hex(): account(1, PROBE, 1, {"0x1": "0x5", "0x9": "0x1"}),
            address_of(AUTHORITY).hex(): account(1),
        }
    }


def cases() -> list[dict[str, Any]]:
    """Transactions by name."""
    cap = 1 << 24
    right = b"".join(bytes.fromhex(call["data"]) for call in p256_calls()[:1])
    listed = [
        ("transfer", legacy(b"\xb0" * 20, value=ETHER, gas=21_000), 0),
        ("probe_legacy", legacy(CONTRACT, word(1 << 200), gas=300_000), 0),
        ("probe_p256", priced(CONTRACT, right, gas=300_000), 0),
        ("probe_out_of_gas", priced(CONTRACT, right, gas=60_000), 0),
        ("access_list", with_list(CONTRACT, [1, 2, 9], gas=300_000), 0),
        ("gas_at_the_cap", priced(CONTRACT, gas=cap), 0),
        ("gas_above_the_cap", priced(CONTRACT, gas=cap + 1), 0),
        ("legacy_gas_above_the_cap", legacy(CONTRACT, gas=cap + 1), 0),
        ("gas_far_above_the_cap", priced(CONTRACT, gas=60_000_001), 0),
        ("create", legacy(b"", bytes.fromhex("60ff1e5f5260205ff3"), gas=200_000), 0),
        ("fee_below_the_base_fee", priced(CONTRACT, tip=0, most=GWEI - 1), 0),
        ("floor_gas", priced(b"\xb0" * 20, b"\x01" * 1000, gas=21_000 + 40_000), 0),
        ("below_the_floor", priced(b"\xb0" * 20, b"\x01" * 1000, gas=21_000 + 39_999), 0),
        ("delegation", with_authorization(CONTRACT), 0),
        ("delegation_any_chain", with_authorization(CONTRACT, chain_id=0), 0),
        ("delegation_other_chain", with_authorization(CONTRACT, chain_id=2), 0),
        ("delegation_wrong_nonce", with_authorization(CONTRACT, nonce=1), 0),
        ("delegation_to_precompile", with_authorization(P256VERIFY), 0),
        ("six_blobs", with_blobs(6, GWEI), 0),
        ("seven_blobs", with_blobs(7, GWEI), 0),
        ("no_blobs", with_blobs(0, GWEI), 0),
        ("blob_of_another_version", with_blobs(1, GWEI, version=2), 0),
        ("creating_with_blobs", with_blobs(1, GWEI, to=b""), 0),
    ]
    return [{"name": name, "raw": raw.hex(), "excess_blob_gas": excess} for name, raw, excess in listed]


def blob_fee_cases(fork: str) -> list[dict[str, Any]]:
    """Blob transactions that offer just the price, and one wei less, at several prices."""
    gas = importlib.import_module(f"ethereum.forks.{fork}.vm.gas")
    found = []
    for excess in (0, 1, 10_000_000, 80_000_000, 150_000_000):
        price = int(gas.calculate_blob_gas_price(U64(excess)))
        for fee in (price, price - 1):
            raw = with_blobs(1, fee).hex()
            found.append({"name": f"blob_fee_{fee}_at_{excess}", "raw": raw, "excess_blob_gas": excess})
    return found


def transactions() -> list[dict[str, Any]]:
    """Every transaction under every fork."""
    world = {bytes.fromhex(address): account for address, account in worlds()["probe"].items()}
    answers = []
    for fork in FORKS:
        for case in [*cases(), *blob_fee_cases(fork)]:
            machine = Eels(fork, world, case["excess_blob_gas"])
            answers.append({"fork": fork, **case, **machine.transact(bytes.fromhex(case["raw"]))})
    return answers


# Blob gas


def excesses() -> list[dict[str, Any]]:
    """Excess blob gas after parents below, at and above the target, where EIP-7918 holds and where it does not."""
    found = []
    for fork in FORKS:
        gas = importlib.import_module(f"ethereum.forks.{fork}.vm.gas")
        header_class = importlib.import_module(f"ethereum.forks.{fork}.blocks").Header
        per_blob = int(gas.GAS_PER_BLOB)
        for excess in (0, 131_072, 10_000_000, 60_000_000, 120_000_000, 300_000_000):
            for blobs in (
                0,
                3,
                int(gas.BLOB_SCHEDULE_TARGET),
                int(gas.BLOB_SCHEDULE_TARGET) + 1,
                int(gas.BLOB_SCHEDULE_MAX),
            ):
                for base_fee in (7, GWEI, 200 * GWEI):
                    parent = _header(header_class, excess, blobs * per_blob, base_fee)
                    after = int(gas.calculate_excess_blob_gas(parent))
                    found.append(
                        {
                            "fork": fork,
                            "parent": [excess, blobs * per_blob, base_fee],
                            "excess": after,
                            "price": int(gas.calculate_blob_gas_price(U64(after))),
                        }
                    )
    return found


def _header(header_class: Any, excess: int, used: int, base_fee: int) -> Any:
    header = header_class.__new__(header_class)
    for name, value in (
        ("excess_blob_gas", U64(excess)),
        ("blob_gas_used", U64(used)),
        ("base_fee_per_gas", Uint(base_fee)),
    ):
        object.__setattr__(header, name, value)
    return header


def main() -> None:
    """Print the file."""
    calls = [*clz_calls(), *modexp_calls(), *p256_calls()]
    for call in calls:
        code = call.get("code", "")
        world = {CONTRACT: {"nonce": 1, "balance": 0, "code": code, "storage": {}}}
        call |= Eels("osaka", world).call(bytes.fromhex(call["to"]), bytes.fromhex(call["data"]), call["gas"])
    document = {
        "source": "ethereum-execution " + importlib.metadata.version("ethereum-execution"),
        "chain_id": CHAIN_ID,
        "coinbase": COINBASE.hex(),
        "block": BLOCK,
        "world": worlds()["probe"],
        "calls": calls,
        "transactions": transactions(),
        "excess": excesses(),
    }
    lines = json.dumps(document, indent=None, separators=(",", ":"), sort_keys=True)
    # One vector a line, so that a change can be read.
    sys.stdout.write(lines.replace("},{", "},\n{") + "\n")


if __name__ == "__main__":
    main()
