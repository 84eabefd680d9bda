"""Export: one verified ONNX graph of the encoder and all heads."""
