"""Judges: rubrics, what a judge is asked, what its verdict means, panels. No input or output; who asks is above."""
