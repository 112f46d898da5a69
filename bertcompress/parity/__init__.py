"""Whether two forms of a model answer alike, and where they first do not."""
