"""The encoder, the heads and the multitask model."""
