"""Ids to activations: token encoders, the LSTM, the biLM, softmax losses, combiners, the classifier."""
