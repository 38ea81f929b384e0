"""When something may be said. Pure: no socket, no thread, no clock (time is an argument)."""
