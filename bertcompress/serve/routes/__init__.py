"""The interfaces that clients know, one file each: requests to texts, answers to replies."""
