# A BentoML service that answers over HTTP.
#
#     pip install bentoml swissbert
#     bentoml serve service:Swiss
#     curl -X POST localhost:3000/sentiment -H 'content-type: application/json' \
#         -d '{"texts": ["I love it", "Never again"]}'
"""A BentoML service."""

from typing import Any

import bentoml

from swisscli import Predictor


@bentoml.service(workers=1)
class Swiss:
    """Answers texts and pairs. Requests that come together share a batch."""

    def __init__(self) -> None:
        self.predictor = Predictor()

    @bentoml.api(batchable=True, max_batch_size=1024, max_latency_ms=200)
    def sentiment(self, texts: list[str]) -> list[dict[str, Any]]:
        """Label, score and probabilities of each text; no label for a blank one."""
        return self._answers("sentiment", texts)

    @bentoml.api(batchable=True, max_batch_size=1024, max_latency_ms=200)
    def paraphrase(self, pairs: list[list[str]]) -> list[dict[str, Any]]:
        """Whether the two texts of each pair mean the same."""
        return self._answers("paraphrase", pairs)

    def _answers(self, task: str, records: list[Any]) -> list[dict[str, Any]]:
        return [
            {"label": item.label, "score": item.score, "probabilities": item.probabilities}
            for item in self.predictor.predict(task, records)
        ]
