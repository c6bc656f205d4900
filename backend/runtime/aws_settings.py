"""What a process on AWS is told by its environment, by the names of the topology; read here and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from backend.topology import RESOURCES

_VARIABLES = {resource.name: resource.variable for resource in RESOURCES}


class MissingSetting(RuntimeError):
    """Something was not deployed with what it needs; the message names the variable."""


@dataclass(frozen=True)
class AwsSettings:
    """Names and addresses of one deployment."""

    environ: Mapping[str, str] = field(repr=False)

    def of(self, resource: str) -> str:
        """Name, address or ARN of a resource of the topology. Raises MissingSetting when it was not granted."""
        found = self.optional(resource)
        if not found:
            variable = _VARIABLES[resource]
            raise MissingSetting(
                f"{variable} is not set: the {resource} of backend/topology.py is not granted here"
            )
        return found

    def optional(self, resource: str) -> str:
        """The same, empty when there is none."""
        return self.environ.get(_VARIABLES[resource] or "", "")

    @property
    def stage(self) -> str:
        return self.environ.get("IOPS_STAGE", "dev")

    @property
    def region(self) -> str:
        return self.environ.get("AWS_REGION") or self.environ.get("AWS_DEFAULT_REGION") or "us-east-1"

    @property
    def account(self) -> str:
        """What people call the account, for the header; empty when nobody said."""
        return self.environ.get("IOPS_ACCOUNT_ALIAS", "")

    @property
    def kinesis(self) -> bool:
        """Whether accepted events travel over Kinesis."""
        return self.environ.get("IOPS_INGEST_PATH", "direct") == "kinesis"

    @property
    def llm(self) -> tuple[str, ...]:
        """Providers of explanations, first choice first; none: rules alone."""
        names = (name.strip() for name in self.environ.get("IOPS_LLM", "off").split(","))
        return tuple(name for name in names if name and name != "off")

    @property
    def llm_model(self) -> tuple[str, ...]:
        return tuple(
            name.strip() for name in self.environ.get("IOPS_LLM_MODEL", "").split(",") if name.strip()
        )

    @property
    def llm_daily_calls(self) -> int:
        return int(self.environ.get("IOPS_LLM_DAILY_CALLS", "500"))

    @property
    def llm_daily_usd(self) -> float:
        return float(self.environ.get("IOPS_LLM_DAILY_USD", "5"))

    @property
    def llm_price(self) -> tuple[str, ...]:
        """Of each provider, as in docs/settings.md."""
        return tuple(
            text.strip() for text in self.environ.get("IOPS_LLM_PRICE", "").split(",") if text.strip()
        )

    @property
    def llm_share(self) -> float:
        return float(self.environ.get("IOPS_LLM_SHARE", "1"))

    @property
    def dashboard_url(self) -> str:
        return self.environ.get("IOPS_DASHBOARD_URL", "").rstrip("/")

    @property
    def cors_origins(self) -> tuple[str, ...]:
        return tuple(
            part.strip() for part in self.environ.get("IOPS_CORS_ORIGINS", "").split(",") if part.strip()
        )

    @property
    def partner_hosts(self) -> frozenset[str]:
        """Host names of the partner that may lie in a private network."""
        names = self.environ.get("IOPS_PARTNER_HOSTS", "").split(",")
        return frozenset(name.strip().lower() for name in names if name.strip())

    @property
    def read_only(self) -> bool:
        return self.environ.get("IOPS_READ_ONLY", "") in ("1", "true", "on", "yes")


def read(environ: Mapping[str, str] | None = None) -> AwsSettings:
    """The settings of this process."""
    return AwsSettings(os.environ if environ is None else environ)
