"""The ONNX graph of an encoder: the only place that knows what such a graph looks like.

tidy.py         from an exporter's graph to ours: products named after their modules
products.py     the matrix products with weights, and the embedding tables
edit.py         replacing initializers and nodes
fingerprint.py  the hash of a graph's weights
kernels.py      what a runtime made of the graph: integer kernels, fused operators
run_products.py which of its products is which module's, and what it multiplies
half.py         the whole graph in float16 or bfloat16
lower.py        for an older operator set; attention_products.py spells attention out
symmetric_qdq.py    Q/DQ pairs as TensorRT takes them; tensorrt_target.py which version reads what
lint.py         is a finished graph one for TensorRT; rules in lint_qdq.py and lint_types.py
    embeddings.py   embedding tables as INT8 with one scale a row

Nothing here runs a graph; that is what runtimes do.
"""
