"""A unit's network as ONNX: its forward pass, its gradient, and how exact both are."""
