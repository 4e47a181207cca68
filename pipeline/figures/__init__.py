"""Publication-quality figures: from a table or an array to a Matplotlib ``Figure``."""
