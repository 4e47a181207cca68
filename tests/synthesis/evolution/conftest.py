"""What the tests of evolution share."""

from __future__ import annotations

from tests.library.conftest import own, untyped

__all__ = ["own", "untyped"]
