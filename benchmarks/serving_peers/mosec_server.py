"""Mosec around the same graph: ``ARTIFACT=FOLDER python mosec_server.py --port PORT``."""

from __future__ import annotations

from mosec import Server, Worker
from session import BATCH_SIZE, WORKERS, Session


class Texts(Worker):
    """Texts in, labels out."""

    def __init__(self) -> None:
        super().__init__()
        self.session = Session()

    def forward(self, data: list[dict[str, str]]) -> list[dict[str, object]]:
        """Answers a batch."""
        return self.session.answer([one["inputs"] for one in data])


if __name__ == "__main__":
    server = Server()
    server.append_worker(Texts, num=WORKERS, max_batch_size=BATCH_SIZE, max_wait_time=1)
    server.run()
