"""Measure what a cache costs, as ratios to a named floor in the same run."""
