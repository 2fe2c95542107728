"""Trains, records and checkpoints single cells."""
