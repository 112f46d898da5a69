"""Published one-shot pruning, written from the papers, to compare `bertcompress.Prune` with."""
