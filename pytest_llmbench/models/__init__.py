"""Model files: where they come from, what they are, whether they are what they should be."""
