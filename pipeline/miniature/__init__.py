"""The embedded network: its architecture, its training drawings, and its training."""
