"""The clients that people have, unchanged, against a server on a port.

They stand in an environment of their own, ``.venv-clients``, which ``make test-slow`` makes: one of
them holds other libraries to older versions.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.serve.test_supervisor import Live, running

PYTHON = os.environ.get("BERTCOMPRESS_CLIENTS", "")
PORTS = ("45555", "45556")

OPENAI = """
import sys, numpy as np
from openai import OpenAI, BadRequestError
client = OpenAI(base_url=sys.argv[1] + "/v1", api_key="none")
assert [model.id for model in client.models.list()] == ["vectors"]
found = client.embeddings.create(model="vectors", input=["good", "bad film"])
assert [len(row.embedding) for row in found.data] == [32, 32]
plain = client.embeddings.create(model="vectors", input="good", encoding_format="float")
assert np.allclose(plain.data[0].embedding, found.data[0].embedding, atol=1e-6)
try:
    client.embeddings.create(model="vectors", input=[1, 2])
except BadRequestError as error:
    assert "check_embedding_ctx_length=False" in str(error)
else:
    raise AssertionError("ids were taken")
"""
TRITON = """
import sys, numpy as np
from tritonclient import http
from tritonclient.utils import InferenceServerException
client = http.InferenceServerClient(sys.argv[1].removeprefix("http://"))
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("vectors")
text = http.InferInput("text", [2], "BYTES")
text.set_data_from_numpy(np.array(["good", "bad"], dtype=object), binary_data=False)
wanted = [http.InferRequestedOutput("embedding", binary_data=False)]
assert client.infer("vectors", [text], outputs=wanted).as_numpy("embedding").shape == (2, 32)
text.set_data_from_numpy(np.array(["good", "bad"], dtype=object))
try:
    client.infer("vectors", [text])
except InferenceServerException as error:
    assert "binary_data=False" in str(error)
else:
    raise AssertionError("binary tensors were taken")
"""
BERT_SERVING = """
import sys
from bert_serving.client import BertClient, ConcurrentBertClient
ports = dict(port=int(sys.argv[2]), port_out=int(sys.argv[3]), timeout=60_000)
with BertClient(**ports) as client:
    assert client.encode(["good", "bad film"]).shape == (2, 32)
    assert client.encode([f"film {number}" for number in range(1500)]).shape == (1500, 32)
    assert client.server_status["statistic"]["num_total_request"] >= 3
    try:
        client.encode(["one ||| two"])
    except TypeError as error:
        assert "pair" in str(error)
    else:
        raise AssertionError("a pair was taken")
    batches = ([f"batch {number}"] for number in range(40))
    found = [answer for answer in client.encode_async(batches, max_num_batch=40, delay=0.3)]
    assert len(found) == 40
with BertClient(**ports, identity=b"a") as one, BertClient(**ports, identity=b"ab") as other:
    for _ in range(10):
        assert other.encode(["a", "b"]).shape == (2, 32)
        assert one.encode(["a"]).shape == (1, 32)
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="make test-slow names the environment of the clients"),
]


@pytest.fixture(scope="module")
def live(graph_folder: Callable[..., Path]) -> Iterator[Live]:
    folder = graph_folder(task="feature-extraction")
    ports = ("--bert-as-service", "--bert-as-service-ports", ",".join(PORTS))
    with running(f"vectors={folder}", "--engines", "1", *ports) as opened:
        yield opened


@pytest.mark.parametrize("script", [OPENAI, TRITON, BERT_SERVING])
def test_the_stock_client_works_unchanged(live: Live, script: str) -> None:
    outcome = subprocess.run(
        [PYTHON, "-c", script, live.address, *PORTS], capture_output=True, text=True, timeout=300
    )
    assert outcome.returncode == 0, outcome.stderr
