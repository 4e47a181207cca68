"""What ``import pipeline`` gives a notebook: the parts that stages use, on tensors and DataFrames.

Nothing here reads a configuration, writes a file or keeps a state.
"""
