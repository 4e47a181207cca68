"""Tuning of units to gratings, contrasts, textures and colors, measured as in V1 and LGN.

Formulas are those of brain-score's properties of V1 (Marques, Schrimpf & DiCarlo 2021), which
follow the studies of single cells named in each module, and some of our own beside them. Responses
come in as arrays, units first; every property comes out as a ``Measured``: values and reasons.
"""
