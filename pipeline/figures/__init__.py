"""Figures fit for a paper: a table or an array comes in, a matplotlib ``Figure`` goes out."""
