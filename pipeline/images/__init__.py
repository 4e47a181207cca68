"""Image sets, preprocessing and patches."""
