"""Training as generators of events: pretraining, fine-tuning, checkpoints."""
