"""Similarity of the images of a unit: one file per family of statistics.

Every statistic takes two batches of images in the same order and returns one number per image.
``catalog.STATISTICS`` lists them by name.
"""

from pipeline.analysis.similarity.pixels import pearson as pearson
