"""What MLflow loads a registered backbone with: `mlflow.pyfunc.load_model`, or a served model. No pickle is read."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from jetassay.tracking.portable import load_portable

if TYPE_CHECKING:
    from jetassay.backbones.protocol import Backbone
    from jetassay.jets.schema import Schema


class ServedBackbone:
    """A backbone as MLflow wants it: a DataFrame in, a DataFrame out."""

    def __init__(self, backbone: "Backbone", schema: "Schema") -> None:
        self.backbone, self.schema = backbone, schema

    def predict(self, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """See `embeddings.frames.embed_frame`; the parameter `scores` asks for class probabilities too."""
        from jetassay.embeddings.frames import embed_frame

        scores = bool((params or {}).get("scores", False))
        return embed_frame(self.backbone, model_input, schema=self.schema, scores=scores)


def _load_pyfunc(path: str) -> ServedBackbone:
    """The name and signature that MLflow asks of a loader module."""
    return ServedBackbone(*load_portable(Path(path)))
