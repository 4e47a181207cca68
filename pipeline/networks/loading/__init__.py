"""Networks by name and from files: weights in common formats, and torchvision's classifiers."""
