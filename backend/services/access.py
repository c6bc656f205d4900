"""Who may do what: ingest keys for senders, access tokens with a role for people. Only SHA-256 digests are stored.

A secret is 256 random bits, shown once. Looking one up is a dictionary access on its digest: secrets of that size need no
slow hash, and a digest gives an attacker's timing nothing to work with.
"""

from __future__ import annotations

import threading
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Protocol

import msgspec

from backend.domain.errors import NotFound, Rejected
from backend.http_api import ROLES

KINDS = ("ingest", "access")
RELOAD_SECONDS = 5.0  # a revoked key stops working within this time
UNKNOWN_SECONDS = (
    0.5  # how often at most an unknown one is looked for in the store: whoever guesses must not keep it busy
)
SECRET_BYTES = 32


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """A key or a token, without its secret. `role` of an ingest key is sender, or local for the one of this machine."""

    key_id: str
    name: str
    kind: str
    role: str
    digest: bytes
    created_us: int = 0
    last_used_us: int | None = None
    revoked_us: int | None = None


class Keys(Protocol):
    """Where credentials are kept."""

    def credentials(self) -> list[Credential]: ...

    def add_credential(self, credential: Credential) -> None: ...

    def revoke_credential(self, key_id: str, at_us: int) -> bool: ...

    def touch_credentials(self, used: dict[str, int]) -> None: ...


def digest_of(secret: str | bytes) -> bytes:
    return sha256(secret.encode() if isinstance(secret, str) else secret).digest()


def issue(keys: Keys, name: str, kind: str, role: str, now_us: int, random: bytes) -> tuple[Credential, str]:
    """Make a credential; returns it and its secret, which exists nowhere else. `random` is 32 random bytes or more."""
    if kind not in KINDS or (kind == "access" and role not in ROLES):
        raise Rejected(f"the role must be one of: {', '.join(ROLES)}")
    name = name.strip()
    if not 1 <= len(name) <= 80 or not name.isprintable():
        raise Rejected("a name holds 1 to 80 printable characters")
    if any(c.name == name and c.kind == kind and c.revoked_us is None for c in keys.credentials()):
        raise Rejected(f"there is already one named {name}; revoke it first or choose another name")
    if len(random) < SECRET_BYTES:
        raise Rejected(f"a secret needs {SECRET_BYTES} random bytes")
    text = urlsafe_b64encode(random).rstrip(b"=").decode()
    key_id = f"{'ik' if kind == 'ingest' else 'at'}_{sha256(random).hexdigest()[:10]}"
    secret = f"iops_{key_id}_{text}"
    made = Credential(
        key_id=key_id, name=name, kind=kind, role=role, digest=digest_of(secret), created_us=now_us
    )
    keys.add_credential(made)
    return made, secret


def revoke(keys: Keys, key_id: str, now_us: int) -> Credential:
    """Revoke by id or name. Raises NotFound when there is no such living credential."""
    for credential in keys.credentials():
        if key_id in (credential.key_id, credential.name) and credential.revoked_us is None:
            keys.revoke_credential(credential.key_id, now_us)
            return credential
    raise NotFound(f"there is no key or user {key_id} in use")


def take_over(keys: Keys, given: Iterable[Credential]) -> int:
    """Credentials of elsewhere, known by their digest alone; how many were added or revoked. Who has one of that name here keeps it."""
    here = {credential.key_id: credential for credential in keys.credentials()}
    names = {(credential.kind, credential.name) for credential in here.values() if not credential.revoked_us}
    changed = 0
    for credential in given:
        known = here.get(credential.key_id)
        if credential.revoked_us is not None:
            changed += known is not None and keys.revoke_credential(known.key_id, credential.revoked_us)
        elif known is None and (credential.kind, credential.name) not in names:
            keys.add_credential(credential)
            changed += 1
    return changed


class Gate:
    """Finds the credential of a secret, from memory; reloads what is stored every few seconds.

    `fixed` are credentials from settings and files; they need no store. `monotonic` gives seconds.
    """

    def __init__(self, keys: Keys, fixed: list[Credential], monotonic: Callable[[], float]) -> None:
        self._keys = keys
        self._fixed = fixed
        self._monotonic = monotonic
        self._known: dict[bytes, Credential] = {}
        self._reload_at = 0.0
        self._used: dict[str, int] = {}
        self._guard = threading.Lock()

    def find(self, secret: bytes, now_us: int) -> Credential | None:
        """The living credential with this secret, or None."""
        if self._monotonic() >= self._reload_at:
            self.reload()
        digest = digest_of(secret)
        found = self._known.get(digest)
        if found is None and self._monotonic() >= self._reload_at - RELOAD_SECONDS + UNKNOWN_SECONDS:
            self.reload()  # it may have been made a moment ago
            found = self._known.get(digest)
        if found is not None:
            self._used[found.key_id] = now_us
        return found

    def living(self, key_id: str) -> Credential | None:
        """The credential of this id while it has not been revoked; what an open session is checked against."""
        if self._monotonic() >= self._reload_at:
            self.reload()
        return next((c for c in self._known.values() if c.key_id == key_id), None)

    def reload(self) -> None:
        """Read the stored credentials again and note when each was last used."""
        with self._guard:
            self._reload_at = self._monotonic() + RELOAD_SECONDS
            stored = {c.digest: c for c in self._keys.credentials() if c.revoked_us is None}
            self._known = stored | {c.digest: c for c in self._fixed}

    def save_use(self) -> None:
        """Write down when credentials were last used; called now and then, away from requests."""
        used, self._used = self._used, {}
        ids = {credential.key_id for credential in self._fixed}
        if used := {key_id: at for key_id, at in used.items() if key_id not in ids}:
            self._keys.touch_credentials(used)
