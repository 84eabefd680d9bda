"""Export a trained model as one verified ONNX graph of the encoder and all heads."""
