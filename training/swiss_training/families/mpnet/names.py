"""MPNet's tensor names in Hugging Face's checkpoints."""

from swiss_training.families.names import SHARED, EncoderNames, MaskedLMNames

ENCODER = EncoderNames(
    prefix="mpnet",
    modules=(
        *SHARED,
        ("relative_attention_bias", "encoder.relative_attention_bias"),
        ("layers.{}.attention.query", "encoder.layer.{}.attention.attn.q"),
        ("layers.{}.attention.key", "encoder.layer.{}.attention.attn.k"),
        ("layers.{}.attention.value", "encoder.layer.{}.attention.attn.v"),
        ("layers.{}.attention.output", "encoder.layer.{}.attention.attn.o"),
        ("layers.{}.attention_norm", "encoder.layer.{}.attention.LayerNorm"),
    ),
)
MASKED_LM = MaskedLMNames(
    architecture="MPNetForMaskedLM",
    dense="lm_head.dense",
    norm="lm_head.layer_norm",
    bias="lm_head.bias",
    activation="gelu",
)
