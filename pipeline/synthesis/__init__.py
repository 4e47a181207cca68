"""Climbing a unit's response: objectives, starting images, optimizers and the loop."""
