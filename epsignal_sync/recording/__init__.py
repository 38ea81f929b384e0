"""What went through a client, in a file: written while it happens, read afterwards."""
