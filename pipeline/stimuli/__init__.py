"""Stimuli by formula: bars, gratings, shapes, blocks, noise, checkerboards, edges, pictures."""
