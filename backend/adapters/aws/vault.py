"""Versions of one secret in Secrets Manager, for whoever changes it."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backend.domain.errors import NotFound, Unavailable


class SecretVersions:
    """Implements services.rotation.Vault. `client` is a boto3 Secrets Manager client."""

    def __init__(self, client: Any, arn: str) -> None:
        self._client, self._arn = client, arn

    def stages(self) -> dict[str, set[str]]:
        found = self._ask("describe_secret").get("VersionIdsToStages", {})
        return {version: set(names) for version, names in found.items()}

    def value(self, stage: str, version: str | None = None) -> str:
        of = {"VersionId": version} if version else {}
        return self._ask("get_secret_value", VersionStage=stage, **of)["SecretString"]

    def keep_pending(self, version: str, value: str) -> None:
        self._ask(
            "put_secret_value", ClientRequestToken=version, SecretString=value, VersionStages=["AWSPENDING"]
        )

    def promote(self, version: str, instead_of: str | None) -> None:
        leaving = {"RemoveFromVersionId": instead_of} if instead_of else {}
        self._ask(
            "update_secret_version_stage", VersionStage="AWSCURRENT", MoveToVersionId=version, **leaving
        )

    def _ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        try:
            return getattr(self._client, operation)(SecretId=self._arn, **arguments)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code == "ResourceNotFoundException":
                raise NotFound("the secret has no such version") from error
            raise Unavailable(f"Secrets Manager refuses ({code})", 5) from error
        except BotoCoreError as error:
            raise Unavailable(f"Secrets Manager cannot be reached ({type(error).__name__})", 5) from error
