"""What uses a finished run: embeddings, predictions, scores, neighbours, checks, speed."""
