"""Pages: gallery and playground as static files, without torch."""
