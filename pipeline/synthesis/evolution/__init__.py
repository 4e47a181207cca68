"""Evolution: images that drive units, found from responses alone, without a gradient.

A searcher proposes codes (``searchers``), a generator turns codes into pictures (``generators``), a
scorer shows the pictures and returns responses, and the searcher learns from these. Xiao & Kreiman
(2020) call the combination of a genetic algorithm and a deep generator XDREAM.
"""
