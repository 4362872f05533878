"""Training: recipes as data, images in batches, the loop, and the folder that a run leaves."""
