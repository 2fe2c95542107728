"""The two engines, which compute the gradients of all workers: one worker after another, or all of them by vmap."""
