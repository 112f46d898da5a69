"""Names that mean something in a benchmark, and that no variant may therefore have."""

from __future__ import annotations

AGAIN = "(the baseline again)"
"""The name of the baseline's second process."""

PEER_RUNTIME = "peer"
"""The runtime's name of what another library made; see `bertcompress.bench.peers`."""

FAKE_RUNTIME = "fake"
"""The runtime's name of an artifact that answers by arithmetic; see `worker/fake.py`."""
