"""What is decided from stored results: gates and the exit code."""
