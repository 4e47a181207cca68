"""Tuning of the units of a layer: what is shown, and the properties that follow from it."""
