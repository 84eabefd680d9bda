"""The report: one self-contained page about a trained model."""
