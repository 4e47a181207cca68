"""The embedded network: its architecture, the drawings that it is trained on, and its training."""
