"""The ONNX graph of an encoder: the only place that knows what such a graph looks like.

tidy.py             from an exporter's graph to ours: named products, joined heads
normal_form.py      from the graph of another exporter to ours
signature.py        which input and output is which, by name
products.py         the matrix products with weights, and the embedding tables
for_onnxruntime.py  the same answers in the operators that ONNX Runtime is fast at
edit.py             replacing initializers and nodes
fingerprint.py      the hash of a graph's weights
kernels.py          what a runtime made of the graph: integer kernels, fused operators
run_products.py     which of its products is which module's, and what it multiplies
half.py             the whole graph in float16 or bfloat16
attention_products.py  attention spelled out as products
integer/            integer products, tables and blocks, as operators or Q/DQ pairs
tensorrt/           what TensorRT reads: older operator sets, Q/DQ pairs, the rules of the lint

Nothing here runs a graph; that is what runtimes do.
"""
