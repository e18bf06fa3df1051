"""From advice to the best model: the fine-tune on torch, transformers and peft."""
