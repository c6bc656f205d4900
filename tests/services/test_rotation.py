"""A secret changes in four steps, each of which may be asked for again and may be cut short."""

from __future__ import annotations

import json
from itertools import count

import pytest

from backend.domain.errors import NotFound, Rejected, Unavailable
from backend.services import partner
from backend.services.rotation import CURRENT, PENDING, PREVIOUS, PartnerKeys, rotate

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


class Vault:
    """A secret as Secrets Manager keeps it: the version that stops being current becomes the previous one."""

    def __init__(self, value: str) -> None:
        self.values = {"v0": value}
        self.names = {"v0": {CURRENT}}

    def begin(self, version: str) -> None:
        self.names[version] = {PENDING}

    def stages(self) -> dict[str, set[str]]:
        return {version: set(names) for version, names in self.names.items()}

    def value(self, stage: str, version: str | None = None) -> str:
        for held, names in self.names.items():
            if stage in names and version in (None, held) and held in self.values:
                return self.values[held]
        raise NotFound(f"nothing is {stage}")

    def keep_pending(self, version: str, value: str) -> None:
        assert version not in self.values
        self.values[version] = value

    def promote(self, version: str, instead_of: str | None) -> None:
        for names in self.names.values():
            names.discard(PREVIOUS)
        assert instead_of is not None
        self.names[instead_of] = {PREVIOUS}
        self.names[version] = {CURRENT}


class Door:
    """Whoever accepts the secret."""

    def __init__(self, *accepted: str) -> None:
        self.accepted = set(accepted)
        self.numbers = count(1)
        self.deaf = False

    def next(self, current: str) -> str:
        return f"new{next(self.numbers)}"

    def admit(self, value: str) -> None:
        if not self.deaf:
            self.accepted.add(value)

    def trial(self, value: str) -> None:
        if value not in self.accepted:
            raise Unavailable("not accepted")

    def drop_all_but(self, values: set[str]) -> None:
        self.accepted &= values


def change(vault: Vault, door: Door, version: str, times: int = 1) -> list[str]:
    vault.begin(version)
    return [rotate(vault, door, version, step) for step in STEPS for _ in range(times)]


def test_the_value_before_is_accepted_until_the_next_change() -> None:
    vault, door = Vault("first"), Door("first")
    assert change(vault, door, "v1") == ["made", "let in", "tried", "in force"]
    assert (vault.value(CURRENT), vault.value(PREVIOUS)) == ("new1", "first")
    assert door.accepted == {"first", "new1"}
    change(vault, door, "v2")
    assert (vault.value(CURRENT), vault.value(PREVIOUS)) == ("new2", "new1")
    assert door.accepted == {"new1", "new2"}


def test_every_step_may_be_asked_for_again() -> None:
    vault, door = Vault("first"), Door("first")
    said = change(vault, door, "v1", times=2)
    assert said == [
        "made",
        "made already",
        "let in",
        "let in",
        "tried",
        "tried",
        "in force",
        "in force already",
    ]
    assert vault.value(CURRENT) == "new1"
    assert rotate(vault, door, "v1", "createSecret") == "in force already"


@pytest.mark.parametrize("kept", range(1, 4))
def test_a_change_that_was_cut_short_goes_on_where_it_was(kept: int) -> None:
    vault, door = Vault("first"), Door("first")
    vault.begin("v1")
    for step in STEPS[:kept]:
        rotate(vault, door, "v1", step)
    assert "first" in door.accepted
    for step in STEPS:
        rotate(vault, door, "v1", step)
    assert (vault.value(CURRENT), door.accepted) == ("new1", {"first", "new1"})


def test_a_value_that_nobody_accepts_does_not_come_into_force() -> None:
    vault, door = Vault("first"), Door("first")
    door.deaf = True
    with pytest.raises(Unavailable):
        change(vault, door, "v1")
    assert (vault.value(CURRENT), door.accepted) == ("first", {"first"})


@pytest.mark.parametrize(("version", "step"), [("v9", "createSecret"), ("v1", "createSecret"), ("v2", "x")])
def test_what_is_not_being_changed_is_refused(version: str, step: str) -> None:
    vault = Vault("first")
    vault.names |= {"v1": set(), "v2": {PENDING}}
    with pytest.raises(Rejected):
        rotate(vault, Door("first"), version, step)


def test_deliveries_are_signed_with_the_partners_new_key_and_the_one_before() -> None:
    vault = Vault(json.dumps({"url": "https://partner.example/hook", "secret": "k0"}))
    made = count(1)
    kind = PartnerKeys(lambda: f"k{next(made)}")
    for version, keys in (("v1", ("k1", "k0")), ("v2", ("k2", "k1"))):
        vault.begin(version)
        for step in STEPS:
            rotate(vault, kind, version, step)
        target = partner.target_of(vault.value(CURRENT))
        assert (target.url, target.secrets) == ("https://partner.example/hook", keys)


def test_a_partners_secret_that_nobody_filled_in_is_left_as_it_is() -> None:
    vault = Vault("made up when the stack was made")
    vault.begin("v1")
    with pytest.raises(Rejected):
        rotate(vault, PartnerKeys(lambda: "k"), "v1", "createSecret")
    assert vault.value(CURRENT) == "made up when the stack was made"
