"""Where keys come from, how their files are guarded, and that no error repeats one."""

from __future__ import annotations

import json
import os
import stat
import threading
import traceback
from pathlib import Path

import pytest
from eth_account import Account

from flasharb.adapters.keys import identity_key, identity_key_path, load_signer, read_key_file
from flasharb.errors import UsageError
from flasharb.execution.signing import SigningKey
from flasharb.settings import DEVNET_CHAIN_ID, Relays, Settings, Signer
from tests.support.execution import SEARCHER_KEY

CANARY = "c0ffee" * 10 + "abcd"
ADDRESS = SigningKey.from_hex(CANARY).address
MAINNET = 1


def secret_file(path: Path, text: str, mode: int = 0o600) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def refused(signer: Signer, environ: dict[str, str] | None = None) -> str:
    """The message of the refusal, after a look through every frame for the secret."""
    with pytest.raises(UsageError) as caught:
        load_signer(signer, environ or {}, MAINNET)
    ours = [
        frame
        for frame, _ in traceback.walk_tb(caught.value.__traceback__)
        if frame.f_code.co_filename.endswith(("keys.py", "signing.py")) and "test_" not in frame.f_code.co_filename
    ]
    seen = str(caught.value) + "".join(traceback.format_exception(caught.value))
    locals_seen = repr([value for frame in ours for name, value in frame.f_locals.items() if name != "environ"])
    assert CANARY[:20] not in seen
    assert CANARY[:20] not in locals_seen
    return str(caught.value)


def test_no_source_is_no_key() -> None:
    """Enough for a dry run."""
    assert load_signer(Signer(), {}, MAINNET) is None
    assert load_signer(Signer(), {"FLASHARB_SIGNER_KEY": ""}, MAINNET) is None


def test_key_from_the_environment() -> None:
    """The variable that the configuration names."""
    for environ, signer in (
        ({"FLASHARB_SIGNER_KEY": "0x" + CANARY}, Signer()),
        ({"MY_KEY": CANARY}, Signer(key_env="MY_KEY")),
    ):
        key = load_signer(signer, environ, MAINNET)
        assert key is not None
        assert key.address == ADDRESS


def test_key_from_a_file(tmp_path: Path) -> None:
    """Hex in a file that nobody else may read."""
    signer = Signer(key_file=secret_file(tmp_path / "key", f"0x{CANARY}\n"))

    key = load_signer(signer, {}, MAINNET)

    assert key is not None
    assert key.address == ADDRESS


@pytest.mark.parametrize("kdf", ["scrypt", "pbkdf2"])
def test_key_from_a_keystore(tmp_path: Path, kdf: str) -> None:
    """As wallets write it, with the password in a guarded file; a wrong password says so and nothing else."""
    keystore = Account.encrypt(bytes.fromhex(CANARY), "correct horse", kdf=kdf, iterations=2)
    file = tmp_path / "keystore.json"
    file.write_text(json.dumps(keystore))
    good = secret_file(tmp_path / "password", "correct horse\n")
    wrong = secret_file(tmp_path / "wrong", "battery staple")

    key = load_signer(Signer(keystore_file=str(file), keystore_password_file=good), {}, MAINNET)

    assert key is not None
    assert key.address == ADDRESS
    message = refused(Signer(keystore_file=str(file), keystore_password_file=wrong))
    assert "wrong password" in message
    assert "battery" not in message


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"version": 1}', '{"version": 3}', '{"version": 3, "crypto": {"kdf": "x"}}', "\x00"]
)
def test_damaged_keystores(tmp_path: Path, content: str) -> None:
    """Whatever is in the file, one clear error."""
    file = tmp_path / "keystore.json"
    file.write_text(content)
    password = secret_file(tmp_path / "password", "x")

    assert str(file) in refused(Signer(keystore_file=str(file), keystore_password_file=password))


def test_two_sources_are_one_too_many(tmp_path: Path) -> None:
    """Nobody should have to guess which key signs."""
    signer = Signer(key_file=secret_file(tmp_path / "key", CANARY))

    message = refused(signer, {"FLASHARB_SIGNER_KEY": CANARY})

    assert "signer.key_env and signer.key_file" in message


@pytest.mark.parametrize("text", ["", CANARY[:-1], CANARY + "ab", "not a key", CANARY + "\n" + CANARY, "00" * 32])
def test_texts_that_are_no_key(tmp_path: Path, text: str) -> None:
    """From a file and from the environment: the place is named, the text is not."""
    path = secret_file(tmp_path / "key", text)
    assert path in refused(Signer(key_file=path))
    if text:
        assert "FLASHARB_SIGNER_KEY" in refused(Signer(), {"FLASHARB_SIGNER_KEY": text})


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_files_that_others_may_read(tmp_path: Path, mode: int) -> None:
    """The error says how to mend it."""
    path = secret_file(tmp_path / "key", CANARY, mode)

    assert f"chmod 600 {path}" in refused(Signer(key_file=path))


def test_files_that_are_none(tmp_path: Path) -> None:
    """Missing, a folder, a device, too large."""
    large = secret_file(tmp_path / "large", "0" * 100_000)
    for path in (str(tmp_path / "missing"), str(tmp_path), "/dev/null", large):
        assert path in refused(Signer(key_file=path))


def test_published_key_is_refused_on_a_real_chain(tmp_path: Path) -> None:
    """And taken on the devnet."""
    signer = Signer(key_file=secret_file(tmp_path / "key", SEARCHER_KEY))

    assert "published test key" in refused(signer)
    assert load_signer(signer, {}, DEVNET_CHAIN_ID) is not None


def test_identity_is_made_once_and_guarded(tmp_path: Path) -> None:
    """At first use, with mode 0600 in a folder of mode 0700; the next start has the same one."""
    path = tmp_path / "state" / "relay_identity.key"
    old = os.umask(0)
    try:
        first = identity_key(path)
    finally:
        os.umask(old)

    assert identity_key(path).address == first.address
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    assert identity_key(tmp_path / "other.key").address != first.address


def test_identity_of_two_that_start_at_once(tmp_path: Path) -> None:
    """Whoever comes second uses the key of the first."""
    path = tmp_path / "identity.key"
    barrier = threading.Barrier(4)
    addresses: list[bytes] = []

    def start() -> None:
        barrier.wait()
        addresses.append(identity_key(path).address)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(addresses) == {read_key_file(path).address}
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_identity_that_cannot_be_made(tmp_path: Path) -> None:
    """The folder is a file."""
    blocked = tmp_path / "file"
    blocked.write_text("")

    with pytest.raises(UsageError, match="relay identity key"):
        identity_key(blocked / "identity.key")


def test_place_of_the_identity(tmp_path: Path) -> None:
    """As configured, else in the data directory."""
    named = Settings(relays=Relays(identity_key_file=str(tmp_path / "x.key")))

    assert identity_key_path(named, tmp_path) == tmp_path / "x.key"
    assert identity_key_path(Settings(), tmp_path) == tmp_path / "relay_identity.key"
