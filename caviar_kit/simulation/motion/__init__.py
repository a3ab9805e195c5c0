"""How atoms vibrate: molecular dynamics, harmonic and Einstein models."""
