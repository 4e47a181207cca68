"""Vision networks: loading, layers and units, receptive fields, unit networks."""
