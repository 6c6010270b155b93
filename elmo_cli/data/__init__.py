"""Files to records: what people keep their texts in, read as a stream with the line of each record."""
