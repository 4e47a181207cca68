"""The stages of a run, one package each: each computes the missing results and writes tables."""
