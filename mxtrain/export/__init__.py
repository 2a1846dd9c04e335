"""A graph and its weights as a model of another system: ONNX."""
