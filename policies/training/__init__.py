"""Training: samples and tensors in, checkpoint out; nothing here knows where pages come from."""
