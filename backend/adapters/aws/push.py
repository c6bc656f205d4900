"""Messages to browsers through the WebSocket API of API Gateway."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backend.domain.errors import Unavailable

_GONE = frozenset(("GoneException", "410", "404"))


class Pusher:
    """`client` is a boto3 client of the management API at the WebSocket API's own address."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def post(self, connection_id: str, data: bytes) -> bool:
        """Send to one connection; False when it is gone. Raises Unavailable for any other failure."""
        try:
            self._client.post_to_connection(ConnectionId=connection_id, Data=data)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _GONE:
                return False
            raise Unavailable(f"the push was refused ({error.response['Error']['Code']})") from error
        except BotoCoreError as error:
            raise Unavailable(f"the push did not go out ({type(error).__name__})") from error
        return True
