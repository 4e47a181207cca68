"""Searching an image set for the patches with each unit's strongest and weakest responses."""
