"""Posting to an address that somebody configured: never to this machine or its network, never on to another address.

The name is resolved once, every address behind it is checked, and the connection goes to the one that was checked.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from backend.services.partner import Unreachable

CONNECT_S, ANSWER_S = 5.0, 10.0
MOST_BYTES = 65_536  # of an answer that are read


class Webhook:
    """Implements services.partner.Poster. `trusted`: host names that may be plain http and lie in a private network."""

    def __init__(self, trusted: frozenset[str] = frozenset()) -> None:
        self._trusted = trusted

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        if not host or parts.scheme not in ("http", "https") or parts.username:
            raise Unreachable("the partner's address is not an http address", retry=False)
        if parts.scheme == "http" and host not in self._trusted:
            raise Unreachable("the partner's address must be https", retry=False)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        connection = self._connected(parts.scheme, host, port)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request("POST", path, body, dict(headers))
            answer = connection.getresponse()
            answer.read(MOST_BYTES)
            return answer.status
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"no answer ({type(error).__name__})", retry=True) from error
        finally:
            connection.close()

    def _connected(self, scheme: str, host: str, port: int) -> http.client.HTTPConnection:
        address = self._address(host, port)
        kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
        connection = kind(host, port, timeout=ANSWER_S)
        try:
            line = socket.create_connection((address, port), timeout=CONNECT_S)
            line.settimeout(ANSWER_S)
            if scheme == "https":
                line = ssl.create_default_context().wrap_socket(line, server_hostname=host)
        except OSError as error:
            raise Unreachable(f"no connection ({type(error).__name__})", retry=True) from error
        connection.sock = line
        return connection

    def _address(self, host: str, port: int) -> str:
        """One address of the host, after all of them were checked."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise Unreachable("the partner's name cannot be resolved", retry=True) from error
        addresses = [str(entry[4][0]) for entry in found]
        if host not in self._trusted and not all(ipaddress.ip_address(a).is_global for a in addresses):
            raise Unreachable("the partner's name leads into a private network", retry=False)
        return addresses[0]
