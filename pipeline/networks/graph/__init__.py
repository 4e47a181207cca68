"""A network as a graph: traced, digested, and what its operations do to shapes and positions."""
