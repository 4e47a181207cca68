"""How a layer's output is read as units."""
