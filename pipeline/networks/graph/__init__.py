"""A network as a graph: tracing, digests, and the geometry and cost of its operations."""
