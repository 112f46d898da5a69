"""Passes: one file, one change of an artifact. See ``docs/writing_a_pass.md``.

    finetune.py            Finetune          checkpoint -> checkpoint
    prune.py               Prune             checkpoint -> checkpoint
    prune_vocabulary.py    PruneVocabulary   checkpoint -> checkpoint
    recover.py             Recover           checkpoint -> checkpoint
    train_quantized.py     TrainQuantized    checkpoint -> checkpoint
    relayout.py            Relayout          checkpoint -> checkpoint
    prune_heads.py         PruneHeads        checkpoint -> checkpoint
    prune_ffn.py           PruneFfn          checkpoint -> checkpoint
    prune_layers.py        PruneLayers       checkpoint -> checkpoint
    export_onnx.py         ExportOnnx        checkpoint -> graph
    smooth_activations.py  SmoothActivations graph -> graph
    quantize_best.py       QuantizeBest      graph -> graph
    quantize_static.py     QuantizeStatic    graph -> graph
    quantize_dynamic.py    QuantizeDynamic   graph -> graph
    quantize_weights.py    QuantizeWeights   graph -> graph
    quantize_nncf.py       QuantizeNncf      graph -> graph
    quantize_tensorrt.py   QuantizeTensorrt  graph -> graph

base.py says what a pass is; distilled.py, parity.py, pruned.py, quantized.py, held_out.py,
torch_batches.py, graph_samples.py, trained_ranges.py and training.py hold what several of them
share; bit_budget.py and block_*.py are QuantizeWeights', mixed_precision.py, int8_ways.py and
quantization_ways.py are QuantizeBest's, tensorrt_plan.py is QuantizeTensorrt's, nncf_backend.py is
NNCF's home.
"""
