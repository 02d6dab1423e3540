"""Where journal, runs and the relay identity are kept."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from flasharb.settings import Settings


def data_directory(settings: Settings, environ: Mapping[str, str] = os.environ) -> Path:
    """``storage.data_dir``, or ``$XDG_STATE_HOME/flasharb``, or ``~/.local/state/flasharb``."""
    if settings.storage.data_dir:
        return Path(settings.storage.data_dir).expanduser()
    state = environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "flasharb"
