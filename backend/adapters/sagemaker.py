"""Models behind a SageMaker endpoint: features are computed here, by the same code that training uses, and scored there.

The endpoint runs `backend.ml.sagemaker_entry`; what it says is held to the same types as predictions made here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from backend.domain.events import Event
from backend.domain.predictions import ENTITY_TYPES, Prediction, Scored
from backend.domain.times import from_us
from backend.ml import features
from backend.ml.history import as_mapping
from backend.services.scoring import ModelsUnavailable

CONNECT_SECONDS, READ_SECONDS = 2, 5
JSON = "application/json"


class Answer(msgspec.Struct, forbid_unknown_fields=True):
    """What the endpoint answers: the version that scored, what it was trained on, its predictions."""

    model: str
    trained_on: str
    canary: bool
    predictions: dict[str, Prediction]


_decode = msgspec.json.Decoder(Answer).decode


class SageMakerModels:
    """Implements Models of services.scoring. `variant` sends everything to one production variant; else the endpoint's
    weights decide. `decided_us` tells when the endpoint was last changed, where somebody keeps that."""

    def __init__(
        self,
        endpoint: str,
        client: Any | None = None,
        *,
        variant: str | None = None,
        decided_us: Callable[[], int] = lambda: 0,
    ) -> None:
        self._endpoint, self._variant, self._decided = endpoint, variant, decided_us
        self._client = client or runtime_client()

    def predict(self, entity_type: str, entity_id: str, events: Sequence[Event], at_us: int) -> Scored | None:
        known = _known(entity_type, events, at_us)
        asked = {
            "entity_type": entity_type,
            "entity_id": entity_id,
            "feature_version": features.version(entity_type),
            "features": known,
        }
        answer = self._ask(msgspec.json.encode(asked))
        return Scored(
            entity_type=entity_type,
            entity_id=entity_id,
            at_us=at_us,
            model=answer.model,
            canary=answer.canary,
            trained_on=answer.trained_on,
            predictions=answer.predictions,
            missing=[name for name in features.names(entity_type) if name not in known],
            features=known,
        )

    def kinds(self) -> tuple[str, ...]:
        return ENTITY_TYPES

    def decided_us(self) -> int:
        return self._decided()

    def _ask(self, body: bytes) -> Answer:
        chosen = {"TargetVariant": self._variant} if self._variant else {}
        try:
            found = self._client.invoke_endpoint(
                EndpointName=self._endpoint, ContentType=JSON, Accept=JSON, Body=body, **chosen
            )
            return _decode(found["Body"].read())
        except ClientError as error:
            code = error.response["Error"]["Code"]
            raise ModelsUnavailable(f"the endpoint {self._endpoint} fails ({code})") from error
        except BotoCoreError as error:
            raise ModelsUnavailable(
                f"the endpoint {self._endpoint} cannot be reached ({type(error).__name__})"
            ) from error
        except msgspec.DecodeError as error:
            raise ModelsUnavailable(
                f"the endpoint {self._endpoint} answers no prediction: {error}"
            ) from error


def runtime_client(**options: Any) -> Any:
    """A client that gives up within seconds and does not repeat: whoever scores comes back by itself."""
    patience = Config(
        connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries={"total_max_attempts": 1}
    )
    return boto3.client("sagemaker-runtime", config=patience, **options)


def _known(entity_type: str, events: Sequence[Event], at_us: int) -> dict[str, float]:
    vector = features.vector(entity_type, [as_mapping(event) for event in events], from_us(at_us))
    return {n: float(v) for n, v in zip(features.names(entity_type), vector, strict=True) if v == v}
