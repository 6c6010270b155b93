"""Text to ids: readers, tokenizer, vocabulary, encoded corpora, batches and streams."""
