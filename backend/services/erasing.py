"""Forgetting a person on request: who asked for it and when is kept, under a digest that does not say who was forgotten."""

from __future__ import annotations

from typing import Any, Protocol

from backend.domain.erasure import PERSONS, Person
from backend.domain.errors import Rejected
from backend.domain.times import iso
from backend.services import labelling
from backend.services.insights import ASKED

PREFIX = "erased."  # of the documents that tell of it


class Forgetful(Protocol):
    """The part of the store that is needed here."""

    def forget_person(self, person: Person, at_us: int) -> dict[str, int]:
        """Remove a person; what went, by kind. Ending in the middle and being called again is safe. Raises Unavailable."""

    def document(self, key: str) -> Any | None: ...

    def put_document(self, key: str, value: Any, at_us: int) -> None: ...


def erase(store: Forgetful, kind: str, entity_id: str, now_us: int, actor: str) -> dict[str, Any]:
    """Forget a student or tutor: {"digest", "erased_at", "by", "removed": {kind of thing: how many}, "times"}.

    Raises Rejected for anything that is not a person's name. Somebody unknown is forgotten as well: nothing is removed.
    """
    if kind not in PERSONS:
        raise Rejected(f"only a {' or a '.join(PERSONS)} is a person, not a {kind}")
    if not 1 <= len(entity_id) <= 256:
        raise Rejected("the id of a person has 1 to 256 characters")
    person = Person(kind, entity_id)
    removed = store.forget_person(person, now_us)
    asked = store.document(ASKED)
    if asked:  # who wanted to have them explained
        kept = [ask for ask in asked["asks"] if (ask[0], ask[1]) != (kind, entity_id)]
        store.put_document(ASKED, {**asked, "asks": kept}, now_us)
    if kind == "student":
        labelling.forget(store, entity_id, now_us)
    key = PREFIX + person.digest
    before = store.document(key) or {"removed": {}, "times": 0}
    total = {name: n + before["removed"].get(name, 0) for name, n in removed.items()}
    told = {
        "digest": person.digest,
        "kind": kind,
        "erased_at": iso(now_us),
        "by": actor,
        "removed": total,
        "times": before["times"] + 1,
    }
    store.put_document(key, told, now_us)
    return told
