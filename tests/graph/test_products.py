"""Finding weight products and tables in an exported graph."""

from __future__ import annotations

from collections.abc import Callable

from bertcompress.artifacts.artifact import OnnxModel
from bertcompress.graph.products import embedding_tables, rank_of, weight_products


def test_query_key_and_value_share_their_input(tiny_graph: Callable[..., OnnxModel]) -> None:
    products = weight_products(tiny_graph().graph)
    query, key, value, output = products[:4]
    assert query.tensor == key.tensor == value.tensor != output.tensor
    assert all(product.bias is not None for product in products)


def test_tables_have_their_sizes(tiny_graph: Callable[..., OnnxModel]) -> None:
    tables = {table.weight.split(".")[-2]: table for table in embedding_tables(tiny_graph().graph)}
    assert set(tables) == {"word_embeddings", "token_type_embeddings", "position_embeddings"}
    assert (tables["position_embeddings"].rows, tables["position_embeddings"].width) == (128, 32)


def test_the_rank_tells_the_pooler_from_the_encoder(tiny_graph: Callable[..., OnnxModel]) -> None:
    graph = tiny_graph().graph
    rank = {product.module: rank_of(graph, product.tensor) for product in weight_products(graph)}
    assert rank["bert.encoder.layer.0.attention.self.query"] == 3
    assert rank["bert.pooler.dense"] == 2
    assert rank_of(graph, "no such tensor") is None
