"""What an experiment adds to simulated data, one effect a file."""
