"""Networks by name and from files: weights as people have them, and torchvision's classifiers."""
