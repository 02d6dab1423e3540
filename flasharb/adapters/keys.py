"""Where keys come from: the environment, a key file, a keystore v3, and the relay identity made at first use.

No message and no traceback frame of this module holds a key or a password.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from eth_account import Account

from flasharb.errors import UsageError
from flasharb.execution.limits import check_key
from flasharb.execution.signing import CURVE_ORDER, BadKey, SigningKey
from flasharb.settings import Settings, Signer

MAX_SECRET_FILE_BYTES: Final = 65_536


def load_signer(signer: Signer, environ: Mapping[str, str], chain_id: int) -> SigningKey | None:
    """The key that pays gas, or None when no source is configured (enough for a dry run).

    Raises:
        UsageError: more than one source, an unreadable or badly protected file, a text that is no key, a wrong
            password, or a published test key on a real chain.
    """
    given = {
        "signer.key_env": bool(signer.key_env and environ.get(signer.key_env)),
        "signer.key_file": bool(signer.key_file),
        "signer.keystore_file": bool(signer.keystore_file),
    }
    sources = [name for name, present in given.items() if present]
    if len(sources) > 1:
        raise UsageError(f"only one source of the signer's key may be given, not {' and '.join(sources)}")
    if not sources:
        return None
    if sources == ["signer.key_env"]:
        key = _from_text(environ[signer.key_env], f"environment variable {signer.key_env}")
    elif sources == ["signer.key_file"]:
        key = read_key_file(Path(signer.key_file).expanduser())
    else:
        key = read_keystore(Path(signer.keystore_file).expanduser(), Path(signer.keystore_password_file).expanduser())
    if withheld := check_key(key.address, chain_id):
        raise UsageError(f"{withheld.detail}: its funds are anybody's; make a new key")
    return key


def read_key_file(path: Path) -> SigningKey:
    """A file with one key as hex that only its owner may read.

    Raises:
        UsageError: unreadable, readable by others, or no key.
    """
    return _from_text(_read_secret(path), f"key file {path}")


def read_keystore(path: Path, password_file: Path) -> SigningKey:
    """An encrypted key file as wallets write it (keystore version 3, scrypt or pbkdf2).

    Raises:
        UsageError: unreadable, no keystore, or the password is not its.
    """
    try:
        keystore = json.loads(_read_bytes(path, private=False))
    except ValueError:
        raise UsageError(f"{path} is not a keystore: not JSON") from None
    if not isinstance(keystore, dict) or keystore.get("version") != 3:
        raise UsageError(f"{path} is not a keystore of version 3")
    password = _read_secret(password_file).rstrip("\r\n")
    secret = _decrypt(keystore, password)
    del password
    if secret is None:
        raise UsageError(f"cannot open the keystore {path}: wrong password in {password_file}, or a damaged file")
    return SigningKey(secret)


def _decrypt(keystore: dict[str, object], password: str) -> bytes | None:
    try:
        return bytes(Account.decrypt(keystore, password))
    except (ValueError, TypeError, KeyError, NotImplementedError, MemoryError):
        return None


def identity_key(path: Path) -> SigningKey:
    """The relay identity: a key without funds, made at first use and kept with mode 0600.

    Two processes that start at once end with the same key, and a crash leaves either no file or a whole one.

    Raises:
        UsageError: the file cannot be made or read, or is not ours alone.
    """
    if not path.exists():
        _make_key_file(path)
    return read_key_file(path)


def identity_key_path(settings: Settings, data_dir: Path) -> Path:
    """Where the relay identity is kept."""
    named = settings.relays.identity_key_file
    return Path(named).expanduser() if named else data_dir / "relay_identity.key"


def _make_key_file(path: Path) -> None:
    # Written whole under another name, then linked: `link` fails when somebody else was first, and his key is used.
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            number = 1 + secrets.randbelow(CURVE_ORDER - 1)
            os.write(descriptor, f"0x{number:064x}\n".encode())
            del number
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    except OSError as error:
        raise UsageError(f"cannot make the relay identity key {path}: {error.strerror}") from None


def _from_text(text: str, where: str) -> SigningKey:
    wrong = ""
    try:
        return SigningKey.from_hex(text)
    except BadKey as error:
        wrong = str(error)
    finally:
        del text
    raise UsageError(f"{where}: {wrong}")


def _read_secret(path: Path) -> str:
    return _read_bytes(path, private=True).decode("utf-8", "replace")


def _read_bytes(path: Path, *, private: bool) -> bytes:
    """A small regular file; ``private``: owned by us (or root) and closed to everybody else.

    The mode is looked at on the open file, so nothing can be exchanged between the look and the read.
    """
    try:
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise UsageError(f"{path} is not a regular file")
            if private and facts.st_mode & 0o077:
                mode = stat.S_IMODE(facts.st_mode)
                raise UsageError(f"{path} has mode {mode:04o}, others may read it: chmod 600 {path}")
            if private and facts.st_uid not in {0, os.getuid()}:
                raise UsageError(f"{path} belongs to user {facts.st_uid}, not to this one")
            content = file.read(MAX_SECRET_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    if len(content) > MAX_SECRET_FILE_BYTES:
        raise UsageError(f"{path} is too large for a key ({MAX_SECRET_FILE_BYTES} bytes at most)")
    return content
