"""Keeping Python's cycle collector out of the way.

A market is hundreds of thousands of objects that live as long as the process. A full collection walks all of them,
which takes tens of milliseconds in the middle of a block; and every batch of events makes enough tuples for several
young ones. Hardly anything here is freed by the collector at all: values refer to each other in one direction only.
"""

from __future__ import annotations

import gc
from typing import Final

THRESHOLDS: Final = (10_000, 50, 100)
"""Young collections every ten thousand objects; full ones five thousand times rarer."""


def settle() -> None:
    """What is there now is there to stay: collect once, then look only at what comes after."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
