"""Searching an image set for the patches that drive each unit most and least."""
