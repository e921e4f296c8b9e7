"""Two models, quants, settings or builds against each other in one session: which one is slower, and how surely."""
