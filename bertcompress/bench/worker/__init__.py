"""The process that measures one artifact, and the client that talks to it."""
