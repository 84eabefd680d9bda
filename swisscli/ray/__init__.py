"""Prediction on Ray: whole files in deterministic parts, or the batches of a dataset of your own.

    import ray, swisscli.ray

    ds = ray.data.read_parquet("s3://bucket/reviews")
    ds.map_batches(swisscli.ray.PredictSentiment, compute=ray.data.ActorPoolStrategy(size=4))

Importing this package imports neither Ray nor the engine.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swisscli.ray.batches import (
        PredictBatches,
        PredictParaphrase,
        PredictSentiment,
        PredictSimilarity,
    )

__all__ = ["PredictBatches", "PredictParaphrase", "PredictSentiment", "PredictSimilarity"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from swisscli.ray import batches

        return getattr(batches, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
