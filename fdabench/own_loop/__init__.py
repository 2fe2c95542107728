"""Strategies in a user's own PyTorch training loop: each process is one worker, and `optimizer.step()` is hooked."""
