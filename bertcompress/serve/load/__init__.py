"""Load for a server, from another process: how many answers a second, and how soon."""
