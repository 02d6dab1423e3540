"""The quarantine on disk: one JSON file a chain, written as a whole after every change.

::

    {"format": "flasharb-quarantine/1", "chain_id": 1,
     "tokens": [{"token": "0x…", "reason": "receiver_gets_less", "block": 22944300, "evidence": "transfer of …"}]}

Who knows better takes the entry out (or deletes the file) while no run uses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from flasharb.adapters.whole_file import write_whole
from flasharb.errors import OutsideError, UsageError
from flasharb.market.quarantine import Quarantined
from flasharb.safe_json import decode_json
from flasharb.units import Address, address, checksum

FORMAT: Final = "flasharb-quarantine/1"
_FIELDS: Final = {"token": str, "reason": str, "block": int, "evidence": str}


def file_name(chain_id: int) -> str:
    """The name of a chain's file in the data directory."""
    return f"quarantine-{chain_id}.json"


class Quarantine:
    """A chain's quarantined tokens, and their file. Methods block for the disk: call ``add`` in a thread."""

    def __init__(self, directory: Path, chain_id: int) -> None:
        """Reads what earlier runs found.

        Raises:
            UsageError: the file is not what a run writes; it says where and how to mend it.
        """
        self.path = directory / file_name(chain_id)
        self._chain_id = chain_id
        self._tokens: dict[Address, Quarantined] = _read(self.path, chain_id)

    @property
    def tokens(self) -> Mapping[Address, Quarantined]:
        """The tokens now; another mapping after every change."""
        return self._tokens

    def add(self, token: Address, found: Quarantined) -> None:
        """Quarantine a token; the first reason stays.

        Raises:
            OutsideError: the file cannot be written; the token is in quarantine all the same, until the run ends.
        """
        if token in self._tokens:
            return
        self._tokens = {**self._tokens, token: found}
        entries = [
            {"token": checksum(at), "reason": one.reason, "block": one.block, "evidence": one.evidence}
            for at, one in self._tokens.items()
        ]
        content = {"format": FORMAT, "chain_id": self._chain_id, "tokens": entries}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n", 0o600)
        except OSError as error:
            raise OutsideError(f"{self.path}: cannot be written: {error.strerror}") from error


def _read(path: Path, chain_id: int) -> dict[Address, Quarantined]:
    try:
        content: object = decode_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _damaged(path, f"not JSON: {error}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise _damaged(path, f'no object with "format": "{FORMAT}"')
    if content.get("chain_id") != chain_id:
        raise _damaged(path, f"chain_id is {content.get('chain_id')!r}, not {chain_id}")
    entries = content.get("tokens")
    if not isinstance(entries, list):
        raise _damaged(path, "tokens is no list")
    found = {}
    for i, entry in enumerate(entries):
        try:
            token, quarantined = _entry(entry)
        except ValueError as error:
            raise _damaged(path, f"tokens[{i}]: {error}") from None
        found[token] = quarantined
    return found


def _entry(entry: object) -> tuple[Address, Quarantined]:
    if not isinstance(entry, dict) or entry.keys() != _FIELDS.keys():
        raise ValueError(f"expected an object with {', '.join(_FIELDS)}")
    for name, kind in _FIELDS.items():
        if not isinstance(entry[name], kind) or isinstance(entry[name], bool):
            raise ValueError(f"{name}: expected {'a number' if kind is int else 'text'}")
    return address(entry["token"]), Quarantined(entry["reason"], entry["block"], entry["evidence"])


def _damaged(path: Path, problem: str) -> UsageError:
    return UsageError(
        f"{path} is no quarantine file: {problem}. Correct it, or delete it: the tokens in it are then tried out again"
    )
