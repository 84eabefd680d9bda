"""BERT's tensor names in Hugging Face's checkpoints."""

from swiss_training.families.names import SHARED, EncoderNames, MaskedLMNames

ENCODER = EncoderNames(
    prefix="bert",
    modules=(
        *SHARED,
        ("embeddings.token_type", "embeddings.token_type_embeddings"),
        ("layers.{}.attention.query", "encoder.layer.{}.attention.self.query"),
        ("layers.{}.attention.key", "encoder.layer.{}.attention.self.key"),
        ("layers.{}.attention.value", "encoder.layer.{}.attention.self.value"),
        ("layers.{}.attention.output", "encoder.layer.{}.attention.output.dense"),
        ("layers.{}.attention_norm", "encoder.layer.{}.attention.output.LayerNorm"),
    ),
)
MASKED_LM = MaskedLMNames(
    architecture="BertForMaskedLM",
    dense="cls.predictions.transform.dense",
    norm="cls.predictions.transform.LayerNorm",
    bias="cls.predictions.bias",
)
