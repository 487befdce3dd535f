"""Embeds the files of a FOLDER into a STORE, and hangs after MOST jets: for tests of several processes."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from conftest import SMALL, SumBackbone
from jetassay.embeddings.datasets import embed_dataset
from jetassay.embeddings.store import EmbeddingStore
from jetassay.jets.dataset import open_dataset
from jetassay.progress import Reporter

folder, store, most = sys.argv[1:]


class HangingBackbone(SumBackbone):
    """The same embedding, up to a point."""

    def embed(self, batch):
        while self.jets > int(most):
            time.sleep(1)
        return super().embed(batch)


dataset = open_dataset("small", Path(folder), schema="jetclass")
embed_dataset(
    HangingBackbone(), dataset, store=EmbeddingStore(Path(store)), batching=SMALL, threads=2, reporter=Reporter()
)
