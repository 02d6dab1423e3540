"""Compiled EVM code on disk: one file a contract, fork and Python version in the user's cache directory.

Nothing here may ever disturb: what cannot be read, is damaged, or belongs to another user is as if it were not there,
and what cannot be written is not kept. The files hold marshalled code, which whoever writes them could make run in our
process: so the directory is the user's alone, and a file of anybody else's is not looked at.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from flasharb.evm.compiler import Compiler

MAX_BYTES: Final = 256 << 20
_MAGIC: Final = b"flasharb code 1\n"
_HEADER: Final = len(_MAGIC) + 32
_PRUNE_EVERY: Final = 256


def cache_directory(environ: Mapping[str, str]) -> Path:
    """``$XDG_CACHE_HOME/flasharb/evm``, or below ``~/.cache``."""
    base = environ.get("XDG_CACHE_HOME")
    # The XDG specification has relative paths ignored.
    root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache"
    return root / "flasharb" / "evm"


class CodeCache:
    """A ``CodeStore`` in a directory, of at most ``max_bytes``: beyond that the files unused for longest go."""

    def __init__(self, directory: Path, max_bytes: int = MAX_BYTES) -> None:
        self.directory = directory
        self.max_bytes = max_bytes
        self._saved = 0
        self._usable = self._prepare()

    def _prepare(self) -> bool:
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = self.directory.stat()
        except OSError:
            return False
        return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)

    def load(self, name: str) -> bytes | None:
        """What was saved under ``name``, if it is whole and ours."""
        if not self._usable:
            return None
        try:
            with os.fdopen(os.open(self.directory / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
                if os.fstat(file.fileno()).st_uid != os.getuid():
                    return None
                data = file.read()
                # Pruning goes by the time of last use.
                os.utime(file.fileno())
        except (OSError, ValueError):
            return None
        body = data[_HEADER:]
        whole = data.startswith(_MAGIC) and data[len(_MAGIC) : _HEADER] == hashlib.sha256(body).digest()
        return body if whole else None

    def save(self, name: str, data: bytes) -> None:
        """Keep ``data`` under ``name``: wholly or not at all."""
        if not self._usable:
            return
        temporary = None
        try:
            handle, temporary = tempfile.mkstemp(prefix=".", dir=self.directory)
            with os.fdopen(handle, "wb") as file:
                file.write(_MAGIC + hashlib.sha256(data).digest() + data)
            Path(temporary).replace(self.directory / name)
        except OSError:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)
            return
        if self._saved % _PRUNE_EVERY == 0:
            self.prune()
        self._saved += 1

    def prune(self) -> None:
        """Remove what was unused for longest, until the rest fits."""
        try:
            files = [(entry.stat(), entry.path) for entry in os.scandir(self.directory) if entry.is_file()]
        except OSError:
            return
        total = sum(status.st_size for status, _ in files)
        for status, path in sorted(files, key=lambda file: file[0].st_mtime):
            if total <= self.max_bytes:
                break
            total -= status.st_size
            Path(path).unlink(missing_ok=True)


def keep_code(compiler: Compiler, environ: Mapping[str, str]) -> None:
    """Have ``compiler`` keep its code in the user's cache directory, until the process ends."""
    if compiler.store is None:
        compiler.store = CodeCache(cache_directory(environ))
        atexit.register(compiler.save)
