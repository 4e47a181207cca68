"""From the composed configuration to objects: schema, instantiation, checks."""
