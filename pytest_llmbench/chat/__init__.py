"""`llmbench chat`: models asked by hand, through the same client, cache, routes, log and budget as evaluations.

`conversation.py` holds what was said, `speaking.py` asks one model, `asking.py` several at once, `chatting.py` joins
both with the session and keeps all of it; `once.py` and `interactive.py` are the two ways to use it.
"""
