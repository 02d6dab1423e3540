"""Bytes of programs: fields of fixed width, written and read, and what every command has.

Numbers are big-endian and of fixed width: a zero byte costs less gas than decoding a length.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import ClassVar, Final, Self

from flasharb.units import Address, checksum

AMOUNT_BYTES: Final = 16
LENGTH_BYTES: Final = 2
ZERO_FOR_ONE: Final = 0x20
OWED: Final = 0x10


class Recipient(IntEnum):
    """Who receives a swap's output, in the lowest two bits of the op byte."""

    SELF = 0
    CALLER = 1
    NEXT = 2
    INNER = 3


class Command:
    """One command of a program: an immutable value that knows its bytes and its words.

    ``program`` is what runs inside its callback, ``pool`` the contract that a neighbour's output can be sent to.
    """

    __slots__ = ()
    ops: ClassVar[frozenset[int]]
    """The op bytes that it is decoded from."""

    @property
    def receiver(self) -> Address | None:
        """The pool that a neighbour can send its output to, or None."""
        return None

    @property
    def inner(self) -> tuple[Command, ...]:
        """What runs in the callback."""
        return ()

    @abstractmethod
    def encode(self) -> bytes:
        """The command's bytes, those of its inner program included.

        Raises:
            ValueError: a number out of range, or fields that contradict each other.
        """

    @classmethod
    @abstractmethod
    def decode(cls, op: int, reader: Reader) -> Self:
        """The command after its op byte.

        Raises:
            ValueError: cut short, or a field that has no meaning.
        """

    @abstractmethod
    def sentence(self, following: Command | None) -> str:
        """What it does, in words; ``following``: the command after it."""


def encode_commands(commands: Sequence[Command]) -> bytes:
    """The bytes of commands that follow each other."""
    return b"".join(command.encode() for command in commands)


class Reader:
    """Takes fields off the front; running out is a ValueError that says where."""

    def __init__(self, data: bytes, by_op: Mapping[int, type[Command]]) -> None:
        self._data = data
        self._by_op = by_op
        self.place = 0

    @property
    def left(self) -> int:
        """Bytes not taken yet."""
        return len(self._data) - self.place

    def take(self, size: int, what: str) -> bytes:
        """The next ``size`` bytes."""
        if size > self.left:
            raise ValueError(f"program cut short at byte {self.place}: {what} needs {size} bytes, {self.left} left")
        self.place += size
        return self._data[self.place - size : self.place]

    def number(self, size: int, what: str) -> int:
        """The next ``size`` bytes as a number."""
        return int.from_bytes(self.take(size, what), "big")

    def amount(self, what: str) -> int:
        """A positive amount."""
        value = self.number(AMOUNT_BYTES, what)
        if value == 0:
            raise ValueError(f"{what} before byte {self.place} is zero")
        return value

    def address(self, what: str) -> Address:
        """A 20-byte address."""
        return Address(self.take(20, what))

    def commands(self, size: int) -> tuple[Command, ...]:
        """Commands that take exactly ``size`` bytes."""
        if size > self.left:
            raise ValueError(f"the program at byte {self.place} is longer than what is left")
        end = self.place + size
        commands = []
        while self.place < end:
            place = self.place
            op = self.number(1, "command")
            command = self._by_op.get(op)
            if command is None:
                raise ValueError(f"unknown command 0x{op:02x} at byte {place}")
            commands.append(command.decode(op, self))
        if self.place > end:
            raise ValueError(f"a command reaches over the end of its program at byte {end}")
        return tuple(commands)


# --- fields -----------------------------------------------------------------------------------------------------------


def bit(condition: object, value: int) -> int:
    """A flag of the op byte."""
    return value if condition else 0


def number(value: int, size: int, what: str) -> bytes:
    """A number of fixed width."""
    if not 0 <= value < 1 << 8 * size:
        raise ValueError(f"{what} {value} is not within 0 and 2^{8 * size} - 1")
    return value.to_bytes(size, "big")


def positive(amount: int) -> bytes:
    """An amount that is never zero."""
    if amount <= 0:
        raise ValueError(f"an amount must be positive, not {amount}")
    return number(amount, AMOUNT_BYTES, "amount")


def outward(recipient: Recipient) -> Recipient:
    """The recipient of a command without an inner program."""
    if recipient is Recipient.INNER:
        raise ValueError("there is no command inside this one to pay")
    return recipient


def owed_or(recipient: Recipient, amount: int | None) -> int:
    """The op byte's bits for who receives how much."""
    if amount is not None:
        return recipient
    if recipient is not Recipient.CALLER:
        raise ValueError("what the caller is owed can only go to the caller")
    return OWED


def recipient_in(op: int) -> Recipient:
    """The recipient that an op byte names."""
    return Recipient.CALLER if op & OWED else Recipient(op & 3)


def with_program(amount: bytes, program: tuple[Command, ...]) -> bytes:
    """Length, amount and program of a command with a callback."""
    inner = encode_commands(program)
    return number(len(inner), LENGTH_BYTES, "length of a program") + amount + inner


def optional(amount: int | None) -> bytes:
    """An amount, or nothing."""
    return b"" if amount is None else positive(amount)


# --- words ------------------------------------------------------------------------------------------------------------


def name_of(token: Address | None, implied: str = "WETH") -> str:
    """A token in words."""
    return implied if token is None else checksum(token)


def receiver_of(recipient: Recipient, following: Command | None, program: Sequence[Command] = ()) -> str:
    """A recipient in words."""
    if recipient is Recipient.SELF:
        return "this contract"
    if recipient is Recipient.CALLER:
        return "the caller"
    neighbour = following if recipient is Recipient.NEXT else next(iter(program), None)
    pool = neighbour.receiver if neighbour is not None else None
    return checksum(pool) if pool is not None else "nobody (a neighbour without a pool)"


def way(pool: Address, zero_for_one: bool) -> str:
    """Pool and direction in words."""
    return f"{checksum(pool)} {'0 to 1' if zero_for_one else '1 to 0'}"


def amount_or_owed(amount: int | None) -> str:
    """An amount in words."""
    return "what is owed" if amount is None else str(amount)
