"""How it is carried: the socket, the one thread that owns it, forwarding. Knows nothing of clients, devices or callbacks."""
