"""Artificial neurophysiology: what every unit of a vision network wants to see."""
