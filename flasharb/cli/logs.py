"""Log lines go to stderr, so that stdout stays what the command promises."""

from __future__ import annotations

import logging

from rich.console import Console
from rich.logging import RichHandler


def set_up_logging(level: str) -> None:
    """Show records from ``level`` (debug, info, warning, error) on."""
    console = Console(stderr=True)
    handler: logging.Handler
    if console.is_terminal:
        handler = RichHandler(console=console, show_path=False)
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], format="%(message)s", force=True)
    # These name every URL and frame; an URL may hold a token.
    for library in ("httpx", "httpcore", "trio-websocket", "hypercorn", "web3"):
        logging.getLogger(library).setLevel(logging.WARNING)
