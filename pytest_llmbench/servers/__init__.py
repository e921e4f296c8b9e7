"""Local servers: the process that starts and stops them, the engines, the model files, the machine.

Nothing here knows a client: `ServerInfo` (address and key) is all that leaves this room.
"""
