"""Weight products, embeddings and tables of a graph in integers."""
