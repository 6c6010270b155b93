"""The LSTM itself: its arithmetic, its products, its memory."""
