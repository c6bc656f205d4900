"""Files in one S3 bucket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backend.domain.errors import NotFound, Unavailable


class Files:
    """`client` is a boto3 S3 client. Raises Unavailable when the bucket cannot be reached."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client, self._bucket = client, bucket

    def put(self, name: str, content: bytes, media: str) -> None:
        self._ask("put_object", Key=name, Body=content, ContentType=media)

    def get(self, name: str) -> bytes:
        """The content. Raises NotFound."""
        return self._ask("get_object", Key=name)["Body"].read()

    def names(self, prefix: str) -> Iterator[str]:
        """Names that begin so, in order."""
        more: dict[str, str] = {}
        while True:
            page = self._ask("list_objects_v2", Prefix=prefix, **more)
            yield from (entry["Key"] for entry in page.get("Contents", ()))
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _ask(self, operation: str, **arguments: Any) -> Any:
        try:
            return getattr(self._client, operation)(Bucket=self._bucket, **arguments)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in ("NoSuchKey", "404"):
                raise NotFound(f"there is no file {arguments.get('Key')} in the bucket") from error
            raise Unavailable(f"the bucket {self._bucket} refuses ({code})", 2) from error
        except BotoCoreError as error:
            raise Unavailable(f"the bucket {self._bucket} cannot be reached", 2) from error
