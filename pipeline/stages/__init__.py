"""The stages of a run, one file each: assemble parts, do the work that is missing, write tables."""
