"""Drawn stimuli: gratings, bars and arcs, their colors, and the photographs behind them."""
