"""swiss: one BERT encoder with three heads: sentiment, paraphrase and similarity.

Call it from Python with `from swisscli import Predictor`.
"""

__version__ = "0.2.0"

TYPE_CHECKING = False  # not typing's: until it is loaded, an interrupt would show a traceback
if TYPE_CHECKING:
    from swisscli.inference.predictor import Predictor

__all__ = ["Predictor", "__version__"]


def __getattr__(name: str) -> object:
    # Loading the engine pulls in numpy and ONNX Runtime, which `swiss --help` must not wait for.
    if name == "Predictor":
        from swisscli.inference.predictor import Predictor

        return Predictor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
