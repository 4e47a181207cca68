"""Similarity of images and statistics over units, without torch."""
