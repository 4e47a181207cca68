"""What checks arguments and results under pytest: beartype, set up for what is called alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from beartype import beartype

_CHECKING: dict[tuple[Any, ...], Callable[..., Any]] = {}


def checked(stub: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that checks a signature and is set up when it is first called.

    jaxtyping calls this with stubs, which have signatures and do nothing: two for every function
    of the package, and two more whenever a function defines another. Setting up takes beartype a
    millisecond, most functions of the package are not called in a test, and what it makes of
    equal signatures is the same.
    """
    checking: Callable[..., Any] | None = None

    def check(*arguments: Any, **named: Any) -> Any:
        nonlocal checking
        if checking is None:
            checking = _set_up(stub)
        return checking(*arguments, **named)

    return check


def _set_up(stub: Callable[..., Any]) -> Callable[..., Any]:
    annotations = tuple(stub.__annotations__.items())
    defaults = (repr(stub.__defaults__), repr(stub.__kwdefaults__))
    key = (stub.__module__, stub.__qualname__, stub.__code__, annotations, defaults)
    try:
        known = _CHECKING.get(key)
    except TypeError:  # an annotation that has no hash, such as Literal[[]]
        return beartype(stub)
    if known is None:
        known = _CHECKING[key] = beartype(stub)
    return known
