"""Credentials and remembered answers are kept alike by both stores."""

from __future__ import annotations

from typing import Any

import pytest

from backend.adapters.dynamo.access import DynamoAccess
from backend.adapters.dynamo.store import DynamoStore
from backend.adapters.sqlite.access import SqliteAccess
from backend.domain.errors import NotFound, Rejected
from backend.domain.times import DAY, MINUTE
from backend.services.access import UNKNOWN_SECONDS, Gate, issue, revoke
from tests.builders import NOW


@pytest.fixture
def access(store: Any) -> Any:
    return DynamoAccess(store.table) if isinstance(store, DynamoStore) else SqliteAccess(store)


def test_a_credential_is_found_by_its_secret_until_it_is_revoked(access: Any) -> None:
    made, secret = issue(access, "ann", "access", "operator", NOW, b"1" * 32)
    other, _ = issue(access, "desk", "ingest", "sender", NOW + 1, b"2" * 32)
    assert access.credentials() == [made, other]
    moments = iter(range(0, 1_000, 100))
    gate = Gate(access, [], lambda: next(moments))
    found = gate.find(secret.encode(), NOW + MINUTE)
    assert found is not None
    assert (found.name, found.role, found.kind) == ("ann", "operator", "access")
    gate.save_use()
    assert [c.last_used_us for c in access.credentials()] == [NOW + MINUTE, None]
    with pytest.raises(Rejected, match="already one named"):
        issue(access, "ann", "access", "viewer", NOW, b"3" * 32)
    revoke(access, "ann", NOW + 2 * MINUTE)
    assert gate.find(secret.encode(), NOW + 3 * MINUTE) is None
    assert access.credentials()[0].revoked_us == NOW + 2 * MINUTE
    with pytest.raises(NotFound):
        revoke(access, "ann", NOW)
    assert access.revoke_credential(made.key_id, NOW) is False
    assert access.revoke_credential("nobody", NOW) is False
    access.touch_credentials({"nobody": NOW})
    assert len(access.credentials()) == 2


def test_a_new_credential_is_found_soon_and_unknown_ones_are_looked_for_seldom(access: Any) -> None:
    now = 0.0
    gate = Gate(access, [], lambda: now)
    assert gate.find(b"wrong", NOW) is None
    _, secret = issue(access, "desk", "ingest", "sender", NOW, b"2" * 32)
    assert gate.find(secret.encode(), NOW) is None  # looked for just now
    now = UNKNOWN_SECONDS
    assert gate.find(secret.encode(), NOW) is not None
    assert gate.find(b"wrong", NOW) is None


def test_the_answer_to_a_repeated_request_is_remembered_for_a_day(access: Any) -> None:
    key = "k" * 300 + ":ü"
    assert access.remembered(key, NOW) is None
    access.remember(key, b"digest", 202, b'{"a":1}', NOW)
    assert tuple(access.remembered(key, NOW + DAY - 1)) == (b"digest", 202, b'{"a":1}')
    assert access.remembered(key, NOW + DAY) is None
    assert access.remembered(key + "x", NOW) is None
