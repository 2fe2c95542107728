"""The components that a suite may name, built-in or added by plug-ins, and the loading and checking of plug-ins."""
