"""The prediction engine: ONNX Runtime over records, never torch."""
