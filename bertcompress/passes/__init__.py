"""Passes: one file, one change of an artifact. See ``docs/writing_a_pass.md``.

    prune/prune.py                    Prune              checkpoint -> checkpoint
    prune/prune_units.py              PruneHeads         checkpoint -> checkpoint
                                      PruneFfn           checkpoint -> checkpoint
    prune/prune_layers.py             PruneLayers        checkpoint -> checkpoint
    prune/prune_vocabulary.py         PruneVocabulary    checkpoint -> checkpoint
    prune/relayout.py                 Relayout           checkpoint -> checkpoint
    export/export_onnx.py             ExportOnnx         checkpoint -> graph
    export/halve_precision.py         HalvePrecision     graph -> graph
    export/write_ort_format.py        WriteOrtFormat     graph -> graph
    quantize/smooth_activations.py    SmoothActivations  graph -> graph
    quantize/quantize_static.py       QuantizeStatic     graph -> graph
    quantize/quantize_dynamic.py      QuantizeDynamic    graph -> graph
    quantize/quantize_weights.py      QuantizeWeights    graph -> graph
    quantize/quantize_nncf.py         QuantizeNncf       graph -> graph
    tensorrt/quantize_tensorrt.py     QuantizeTensorrt   graph -> graph
    tensorrt/build_engine.py          BuildEngine        graph -> engine

Passes that train lie in `bertcompress.train` (Finetune, Recover, TrainQuantized), those that search
in `bertcompress.search` (PruneToTarget, QuantizeBest). base.py says what a pass is, context.py what
a run gives it, samples.py how examples become what a model takes.
"""
