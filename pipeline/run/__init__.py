"""One run at work: its parts, its paths, its record; nothing here knows a single stage."""
