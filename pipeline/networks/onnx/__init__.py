"""A unit's network as ONNX: its forward pass, its gradient, and the accuracy of both."""
