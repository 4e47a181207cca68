"""Training of the networks that ship with the package, and the record of how it went."""
