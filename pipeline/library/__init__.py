"""The library behind ``import pipeline``: the parts that stages use, for tensors and DataFrames.

Nothing here reads a configuration, writes a file or keeps state.
"""
