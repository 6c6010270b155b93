"""Static embeddings: file formats and training."""
