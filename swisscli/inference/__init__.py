"""Predicts records with ONNX Runtime. Never imports torch."""
