"""The tree of failures that the product knows by name. Messages are for the person who reads them: what, which thing, what to do."""

from __future__ import annotations

from typing import Any

import msgspec


class Violation(msgspec.Struct, frozen=True):
    """One thing wrong with an event: `path` into the body ("payload.rating"), a stable `code`, and a sentence."""

    path: str
    code: str
    message: str


class IopsError(Exception):
    """Root of every failure with a decided answer."""


class InvalidEvent(IopsError):
    """An event breaks its schema; `violations` lists everything wrong at once."""

    def __init__(self, violations: list[Violation]) -> None:
        super().__init__("; ".join(f"{v.path}: {v.message}" for v in violations))
        self.violations = violations


class Malformed(IopsError):
    """The body is not what its content type says (not JSON, not an object)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NotFound(IopsError):
    """No such thing."""


class Conflict(IopsError):
    """Somebody else changed it first; `current` is the thing as it stands now."""

    def __init__(self, message: str, current: Any = None) -> None:
        super().__init__(message)
        self.current = current


class Rejected(IopsError):
    """Understood and refused: the command does not make sense in the present state, or an argument is out of range."""


class Forbidden(IopsError):
    """Known, but not allowed."""


class Unavailable(IopsError):
    """Cannot be done right now; `retry_after_s` says when to try again."""

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
