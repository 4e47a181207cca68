"""Everything on disk: paths, results, tables, runs, provenance. No torch."""
