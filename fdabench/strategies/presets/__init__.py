"""Published methods that are a strategy with other defaults: each file has the equation and its reference."""
