"""The embedded networks, classifier and decoder: architecture, training drawings and training."""
