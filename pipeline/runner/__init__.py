"""Running work items on a device, with progress. Knows nothing of ascent or search."""
