"""Replies that were paid for once, given again to the very same request: off unless asked for, never for speed."""
