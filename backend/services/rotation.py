"""Changing a secret by itself: the four steps that Secrets Manager asks for, each of which may be asked for again.

A new value is made (`createSecret`), let in (`setSecret`), tried (`testSecret`) and put in force (`finishSecret`). The value before it
is accepted on until the next change, so that whoever holds it still has time to read the new one; what is older goes then.
"""

from __future__ import annotations

import json
from typing import Protocol

from backend.domain.errors import NotFound, Rejected
from backend.services.partner import target_of

CURRENT, PENDING, PREVIOUS = "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"


class Vault(Protocol):
    """One secret and its versions."""

    def stages(self) -> dict[str, set[str]]:
        """Version -> the stages that it has."""

    def value(self, stage: str, version: str | None = None) -> str:
        """Raises NotFound when there is none."""

    def keep_pending(self, version: str, value: str) -> None: ...

    def promote(self, version: str, instead_of: str | None) -> None:
        """Make the version the current one; the one before becomes the previous one."""


class Kind(Protocol):
    """What sort of secret it is: how a new value is made, who has to know it, how it is tried."""

    def next(self, current: str) -> str: ...

    def admit(self, value: str) -> None:
        """From now on it is accepted. Again is the same."""

    def trial(self, value: str) -> None:
        """Raises when it is not accepted."""

    def drop_all_but(self, values: set[str]) -> None:
        """Values that are not among these are not accepted any more."""


class PartnerKeys:
    """The partner's signing key. Deliveries are signed with the new and the one before; the partner is told by people."""

    def __init__(self, make: Make) -> None:
        self._make = make

    def next(self, current: str) -> str:
        """Raises Rejected where nobody has filled the secret in."""
        target = target_of(current)
        return json.dumps({"url": target.url, "secret": self._make(), "previous": target.secrets[0]})

    def admit(self, value: str) -> None:
        """The receiver verifies by itself: nobody has to let it in."""

    def trial(self, value: str) -> None:
        target_of(value)

    def drop_all_but(self, values: set[str]) -> None:
        """What is signed with is what the secret holds: two keys, never more."""


class Make(Protocol):
    def __call__(self) -> str: ...


def rotate(vault: Vault, kind: Kind, version: str, step: str) -> str:
    """Carry out one step for that version; what was done, in a word. Raises Rejected for a version that is not being changed."""
    stages = vault.stages()
    if version not in stages:
        raise Rejected(f"version {version} of the secret does not exist")
    if CURRENT in stages[version]:
        return "in force already"
    if PENDING not in stages[version]:
        raise Rejected(f"version {version} of the secret is not being changed to")
    if step not in _STEPS:
        raise Rejected(f"there is no step {step!r}; one of: {', '.join(_STEPS)}")
    return _STEPS[step](vault, kind, version)


def _create(vault: Vault, kind: Kind, version: str) -> str:
    try:
        vault.value(PENDING, version)
    except NotFound:
        vault.keep_pending(version, kind.next(vault.value(CURRENT)))
        return "made"
    return "made already"


def _set(vault: Vault, kind: Kind, version: str) -> str:
    kind.admit(vault.value(PENDING, version))
    return "let in"


def _test(vault: Vault, kind: Kind, version: str) -> str:
    kind.trial(vault.value(PENDING, version))
    return "tried"


def _finish(vault: Vault, kind: Kind, version: str) -> str:
    """First what is older goes, then the change: a kill in between leaves both values accepted, and this is asked for again."""
    kind.drop_all_but({vault.value(CURRENT), vault.value(PENDING, version)})
    held = next((name for name, names in vault.stages().items() if CURRENT in names), None)
    vault.promote(version, held)
    return "in force"


_STEPS = {"createSecret": _create, "setSecret": _set, "testSecret": _test, "finishSecret": _finish}
