"""The gateway as a process: its parts put together, its two listeners, and how it starts and ends."""
