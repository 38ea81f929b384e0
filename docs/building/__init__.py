"""What the pages take from the source itself, so that they cannot tell something else than the program does."""
