"""One active run: its parts, paths and record, independent of any particular stage."""
