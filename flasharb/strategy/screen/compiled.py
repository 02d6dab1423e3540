"""The kernels, compiled or as they stand.

numba takes most of a second to import, 70 MB, and a few seconds to compile for the first time (afterwards it reads the
machine code from its cache beside the source, or in the user's cache directory). Small markets are screened faster
without it, so it is loaded only when a market asks for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import FunctionType
from typing import Any, Final

import numpy as np

from flasharb.strategy.screen import kernels
from flasharb.strategy.screen.layout import Numbers

_INNERMOST_FIRST: Final = ("note", "seek", "link", "close", "fours", "reprice", "search", "screen", "visited", "walk")


@dataclass(frozen=True, slots=True)
class Kernels:
    """The callables, and whether they take structured arrays or dictionaries of memory views."""

    compiled: bool
    screen: Any
    search: Any
    walk: Any

    def table(self, array: Numbers) -> Any:
        """A structured array as these kernels take it."""
        if self.compiled:
            return array
        return {name: array[name].data for name in array.dtype.names or ()}

    def column(self, array: Numbers) -> Any:
        """A plain array as these kernels take it."""
        return array if self.compiled else array.data


@cache
def plain() -> Kernels:
    """The kernels as Python functions."""
    return Kernels(False, kernels.screen, kernels.search, kernels.walk)


@cache
def fastest() -> Kernels:
    """The kernels compiled; as Python functions where numba is missing or told to stay out of it."""
    try:
        import numba  # noqa: PLC0415  # loaded only where it pays
    except ImportError:
        return plain()
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        return plain()
    # The same code objects once more, in a namespace in which they call each other's compiled form.
    space = dict(vars(kernels))
    for name in _INNERMOST_FIRST:
        space[name] = _compiler(numba, FunctionType(getattr(kernels, name).__code__, space, name))
    return Kernels(True, space["screen"], space["search"], space["walk"])


def _compiler(numba: Any, function: FunctionType) -> Any:
    try:
        return numba.njit(cache=True)(function)
    except RuntimeError:
        # no directory to keep machine code in: compile in every process
        return numba.njit(function)


def empty(count: int) -> Numbers:
    """Room for whole numbers."""
    return np.empty(count, np.int32)
