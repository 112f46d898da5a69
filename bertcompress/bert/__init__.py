"""The only place that knows BERT's modules: load, score, cut, and the class of what is left."""
