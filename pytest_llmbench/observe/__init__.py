"""Seeing what happened: the request log, traces, and what is computed from the database for a monitoring system."""
