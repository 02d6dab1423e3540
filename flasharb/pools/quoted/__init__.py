"""Pools that are quoted by running their code, where nobody has modelled their mathematics."""

from __future__ import annotations

from typing import Final

NOT_MODELLED: Final = "its mathematics is not modelled: only running its code quotes it"
"""Why such a pool comes neither from a file nor from its storage."""
