"""LitServe around the same graph: ``ARTIFACT=FOLDER python litserve_server.py PORT``."""

from __future__ import annotations

import sys

import litserve
from session import BATCH_SIZE, WORKERS, Session


class Api(litserve.LitAPI):
    """Texts in, labels out."""

    def setup(self, device: str) -> None:
        """Opens the session."""
        self.session = Session()

    def decode_request(self, request: dict[str, str]) -> str:
        """Reads a text."""
        return request["inputs"]

    def predict(self, x: list[str]) -> list[dict[str, object]]:
        """Answers a batch."""
        return self.session.answer(x)

    def encode_response(self, output: dict[str, object]) -> dict[str, object]:
        """Writes an answer."""
        return output


if __name__ == "__main__":
    api = Api(max_batch_size=BATCH_SIZE, batch_timeout=0.001)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=WORKERS)
    server.run(port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
