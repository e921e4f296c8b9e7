"""What asks API models for a whole session: ahead of the tests, within limits and budget, each question once."""
