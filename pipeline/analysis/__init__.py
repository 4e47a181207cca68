"""Similarity of images, statistics over units and boxes of pixels, without torch."""
