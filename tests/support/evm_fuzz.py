"""Random programs and damaged calls for engines that must agree, and what there is to compare."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final

from eth_account import Account as Signer
from eth_keys.main import KeyAPI

from benchmarks.evm_world import ME, World
from flasharb.evm import Account, DictState, Fork, Machine
from flasharb.evm.compiler import Compiler
from tests.support.worlds import BOB, CHAIN_ID, CONTRACT, ETH, GWEI, OTHER, context

KEY: Final = b"\x33" * 32
ALICE: Final = KeyAPI().PrivateKey(KEY).public_key.to_canonical_address()
CALLS: Final = 8
THIRD: Final = b"\x0d" * 20
NOWHERE: Final = b"\x0f" * 20
_WORDS: Final = (
    0,
    1,
    2,
    3,
    5,
    31,
    32,
    33,
    64,
    96,
    255,
    256,
    1 << 31,
    1 << 64,
    (1 << 255) - 1,
    1 << 255,
    (1 << 256) - 1,
)
_ADDRESSES: Final = (CONTRACT, OTHER, THIRD, BOB, NOWHERE, *((n).to_bytes(20, "big") for n in (1, 2, 3, 4, 5, 6, 9)))
_BINARY: Final = (*range(0x01, 0x08), 0x0A, 0x0B, *range(0x10, 0x15), *range(0x16, 0x19), 0x1A, 0x1B, 0x1C, 0x1D)
_NULLARY: Final = (0x30, 0x32, 0x33, 0x34, 0x36, 0x38, 0x3A, 0x3D, *range(0x41, 0x4B), 0x58, 0x59, 0x5A, 0x5F)


def push(value: int) -> bytes:
    """The shortest PUSH1 to PUSH32 of a word."""
    data = value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
    return bytes([0x5F + len(data)]) + data


class Programs:
    """A source of bytecode: mostly sensible, never sure to be so."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice

    def program(self) -> bytes:
        """A contract."""
        dice = self.dice
        if dice.random() < 0.04:
            return dice.randbytes(dice.randrange(1, 60))
        code = bytearray()
        jumpdests: list[int] = []
        for _ in range(dice.randrange(3, 40)):
            if dice.random() < 0.12:
                jumpdests.append(len(code))
                code.append(0x5B)
            code += self._piece(jumpdests, len(code))
        # Forward jumps of _piece aim at what comes out as some of these.
        code += b"\x5b" * dice.randrange(4) + self._ending()
        return bytes(code)

    def _word(self) -> bytes:
        dice = self.dice
        kind = dice.random()
        if kind < 0.6:
            return push(dice.choice(_WORDS))
        if kind < 0.8:
            return push(dice.randrange(200))
        return push(dice.getrandbits(dice.choice((8, 64, 160, 256))))

    def _small(self) -> bytes:
        return push(
            self.dice.choice((0, 0, 1, 4, 31, 32, 33, 64, 95, 128, 300)) if self.dice.random() < 0.97 else 1 << 40
        )

    def _slot(self) -> bytes:
        return push(self.dice.randrange(5))

    def _piece(self, jumpdests: list[int], at: int) -> bytes:
        kinds = (
            self._arithmetic, self._arithmetic, self._stack, self._stack, self._memory, self._memory, self._storage,
            self._storage, self._context, self._copy, self._call, self._log, self._account, self._hash, self._creation,
        )  # fmt: skip
        roll = self.dice.random()
        if roll < 0.09:
            return self._jump(jumpdests, at)
        if roll < 0.11:
            return self._ending()
        if roll < 0.12:
            return self.dice.randbytes(1)
        return self.dice.choice(kinds)()

    def _arithmetic(self) -> bytes:
        dice = self.dice
        roll = dice.random()
        if roll < 0.1:
            return self._word() + self._word() + self._word() + bytes([dice.choice((0x08, 0x09))])
        if roll < 0.25:
            return (self._word() if dice.random() < 0.5 else b"\x80") + bytes([dice.choice((0x15, 0x19))])
        first = self._word() if dice.random() < 0.6 else b""
        return first + self._word() + bytes([dice.choice(_BINARY)])

    def _stack(self) -> bytes:
        roll = self.dice.random()
        if roll < 0.5:
            return self._word()
        if roll < 0.7:
            return bytes([0x7F + self.dice.choice((1, 1, 2, 2, 3, 4, 5, 9, 16))])
        if roll < 0.9:
            return bytes([0x8F + self.dice.choice((1, 1, 2, 2, 3, 4, 5, 9, 16))])
        return b"\x50"

    def _memory(self) -> bytes:
        op = self.dice.choice((0x51, 0x52, 0x52, 0x53))
        return (b"" if op == 0x51 else self._word()) + self._small() + bytes([op])

    def _storage(self) -> bytes:
        op = self.dice.choice((0x54, 0x54, 0x55, 0x55, 0x5C, 0x5D))
        return (self._word() if op in (0x55, 0x5D) else b"") + self._slot() + bytes([op])

    def _context(self) -> bytes:
        roll = self.dice.random()
        if roll < 0.3:
            return self._small() + b"\x35"
        if roll < 0.4:
            return push(self.dice.choice((0, 50, 98, 99, 100, 200))) + b"\x40"
        if roll < 0.45:
            return push(self.dice.randrange(3)) + b"\x49"
        return bytes([self.dice.choice(_NULLARY)])

    def _copy(self) -> bytes:
        op = self.dice.choice((0x37, 0x39, 0x3E, 0x3E, 0x5E))
        size = push(self.dice.choice((0, 0, 1, 32, 33))) if op == 0x3E else self._small()
        return size + self._small() + self._small() + bytes([op])

    def _call(self) -> bytes:
        dice = self.dice
        op = dice.choice((0xF1, 0xF1, 0xF1, 0xF2, 0xF4, 0xF4, 0xFA, 0xFA))
        value = push(dice.choice((0, 0, 0, 1, 1 << 100))) if op in (0xF1, 0xF2) else b""
        memory = b"".join(self._small() for _ in range(4))
        gas = b"\x5a" if dice.random() < 0.6 else push(dice.choice((0, 100, 700, 3000, 9000, 50000)))
        after = b"" if dice.random() < 0.7 else b"\x3d" + push(0) + push(dice.randrange(64)) + b"\x3e"
        return memory + value + push(int.from_bytes(dice.choice(_ADDRESSES), "big")) + gas + bytes([op]) + after

    def _log(self) -> bytes:
        topics = self.dice.randrange(5)
        return b"".join(self._word() for _ in range(topics)) + self._small() + self._small() + bytes([0xA0 + topics])

    def _account(self) -> bytes:
        op = self.dice.choice((0x31, 0x3B, 0x3F, 0x3C))
        copied = self._small() + self._small() + self._small() if op == 0x3C else b""
        return copied + push(int.from_bytes(self.dice.choice(_ADDRESSES), "big")) + bytes([op])

    def _hash(self) -> bytes:
        return push(self.dice.choice((0, 1, 32, 64, 64, 96, 97, 200))) + self._small() + b"\x20"

    def _creation(self) -> bytes:
        dice = self.dice
        if dice.random() < 0.7:
            return self._word()
        store = dice.choice((b"", push(dice.getrandbits(256)) + push(0) + b"\x52"))
        salt = self._slot() if dice.random() < 0.5 else b""
        return store + salt + push(dice.choice((0, 8, 32))) + push(0) + push(0) + (b"\xf5" if salt else b"\xf0")

    def _jump(self, jumpdests: list[int], at: int) -> bytes:
        dice = self.dice
        roll = dice.random()
        if jumpdests and roll < 0.3:
            # Back, as long as there is gas.
            return b"\x5a" + push(dice.choice((2_000, 9_000))) + b"\x10" + push(dice.choice(jumpdests)) + b"\x57"
        if roll < 0.8:
            # Over a few instructions.
            skipped = bytes([dice.choice((0x58, 0x59, 0x5A))]) * dice.randrange(3)
            condition = dice.choice((b"", self._word(), b"\x80\x15", b"\x34"))
            if not condition:
                body = skipped
                return b"\x61" + (at + 4 + len(body)).to_bytes(2, "big") + b"\x56" + body + b"\x5b"
            to = at + len(condition) + 4 + len(skipped)
            return condition + b"\x61" + to.to_bytes(2, "big") + b"\x57" + skipped + b"\x5b"
        if roll < 0.9:
            return b"\x58" + push(dice.randrange(12)) + b"\x01\x56"
        return self._word() + push(dice.randrange(at + 40)) + b"\x57"

    def _ending(self) -> bytes:
        return self.dice.choice(
            (
                b"\x00",
                push(32) + push(0) + b"\xf3",
                push(64) + push(0) + b"\xfd",
                self._small() + self._small() + b"\xf3",
                self._small() + self._small() + b"\xfd",
                b"\xfe",
                push(int.from_bytes(BOB, "big")) + b"\xff",
            )
        )


def world(codes: tuple[bytes, bytes, bytes]) -> DictState:
    """Three contracts, two owners, one delegating account."""
    return DictState(
        {
            ALICE: Account(balance=100 * ETH),
            BOB: Account(balance=1, code=b"\xef\x01\x00" + OTHER, nonce=1),
            CONTRACT: Account(nonce=1, balance=1000, code=codes[0], storage={0: 3, 1: 9}),
            OTHER: Account(nonce=1, balance=5, code=codes[1], storage={0: 1, 2: 7}),
            THIRD: Account(nonce=1, balance=0, code=codes[2], storage={4: (1 << 256) - 1}),
        },
        block_hashes={number: bytes([number]) * 32 for number in range(100)},
    )


class Pair:
    """The same world on two engines."""

    def __init__(self, codes: tuple[bytes, bytes, bytes], fork: Fork, compiler: Compiler) -> None:
        self.machines = (
            Machine(world(codes), context(fork), fork, "stock"),
            Machine(world(codes), context(fork), fork, "py-evm", compiler=compiler),
        )

    def call(self, to: bytes, data: bytes, value: int, gas: int) -> tuple[Any, Any]:
        """What a call does on either."""
        stock, ours = (plain(machine.call(to, data, sender=ALICE, value=value, gas=gas)) for machine in self.machines)
        return stock, ours

    def apply(self, data: bytes, nonce: int, gas: int) -> tuple[Any, Any]:
        """What a transaction does on either."""
        fields = {
            "nonce": nonce,
            "gas": 21_000 + 40 * len(data) + gas,
            "gasPrice": 2 * GWEI,
            "to": CONTRACT,
            "value": 3,
        }
        raw = bytes(Signer.sign_transaction({**fields, "data": data, "chainId": CHAIN_ID}, KEY).raw_transaction)
        stock, ours = (plain(machine.apply(raw)) for machine in self.machines)
        return stock, ours

    def state(self) -> tuple[Any, Any]:
        """What either changed and read so far."""
        stock, ours = ((machine.diff(), machine.touched, machine.block_hashes) for machine in self.machines)
        return stock, ours


def plain(result: Any) -> tuple[Any, ...]:
    """A result without the words of its error, which may name another of several reasons."""
    reverted = result.error == "execution reverted"
    success = result.success if hasattr(result, "success") else bool(result.status)
    return success, reverted, result.output, result.gas_used, result.logs


def pairs(
    seed: int, compiler: Compiler, forks: tuple[Fork, ...] = tuple(Fork)
) -> Iterator[tuple[random.Random, Pair, Any]]:
    """Worlds of random contracts without end."""
    dice = random.Random(seed)
    programs = Programs(dice)
    while True:
        codes = (programs.program(), programs.program(), programs.program())
        fork = dice.choice(forks)
        yield dice, Pair(codes, fork, compiler), (fork, tuple(code.hex() for code in codes))


def compare(dice: random.Random, pair: Pair, calls: int = CALLS) -> tuple[str, Any, Any] | None:
    """Some calls and a transaction; the first difference."""
    for _ in range(calls):
        gas = dice.choice((dice.randrange(400), dice.randrange(5_000), dice.randrange(60_000)))
        to = dice.choice((CONTRACT, OTHER, THIRD, BOB))
        data = dice.randbytes(dice.choice((0, 4, 36, 68)))
        value = dice.choice((0, 0, 1))
        stock, ours = pair.call(to, data, value, gas)
        if stock != ours:
            return f"call of {to.hex()} with {data.hex()}, value {value}, gas {gas}", stock, ours
    stock, ours = pair.apply(b"", 0, dice.randrange(120_000))
    if stock != ours:
        return "transaction", stock, ours
    stock, ours = pair.state()
    return None if stock == ours else ("state", stock, ours)


def compare_damaged_calls(dice: random.Random, real: World, compiler: Compiler, calls: int) -> tuple[Any, int]:
    """Calls of real contracts with damaged data: the first difference, and how many succeeded."""
    stock = real.machine("stock")
    ours = Machine(real.state, stock.context, real.fork, compiler=compiler)
    loads = list(real.workloads().values())
    succeeded = 0
    for _ in range(calls):
        to, data = dice.choice(loads)
        data = damaged(dice, data)
        gas = dice.choice((dice.randrange(30_000), dice.randrange(30_000), dice.randrange(200_000)))
        results = [(plain(m.call(to, data, sender=ME, gas=gas)), m.touched) for m in (stock, ours)]
        if results[0] != results[1]:
            return (to.hex(), data.hex(), gas, *results), succeeded
        succeeded += results[0][0][0]
    return None, succeeded


def damaged(dice: random.Random, data: bytes) -> bytes:
    """Call data with a few things wrong, sometimes none."""
    raw = bytearray(data)
    for _ in range(dice.choice((0, 1, 1, 2, 4))):
        kind = dice.randrange(4)
        if kind == 0 and raw:
            raw[dice.randrange(len(raw))] = dice.randrange(256)
        elif kind == 1:
            del raw[dice.randrange(len(raw) + 1) :]
        elif kind == 2:
            raw += dice.randbytes(dice.randrange(40))
        elif len(raw) > 40:
            at = 4 + 32 * dice.randrange((len(raw) - 4) // 32)
            raw[at : at + 32] = dice.choice((bytes(32), b"\xff" * 32, bytes(31) + b"\1", dice.randbytes(32)))
    return bytes(raw)
