"""Ranks: process group, rendezvous, heartbeats and control of a cell whose workers are in several processes."""
