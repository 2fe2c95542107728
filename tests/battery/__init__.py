"""The battery: a toy to learn, every strategy there is, and what each of them has to do on it."""
