"""Use cases and stories as tests: what is asked, how replies are scored, how several trials become one verdict."""
