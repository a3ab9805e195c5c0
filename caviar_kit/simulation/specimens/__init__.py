"""What is put into the beam: grain boundary and twisted crystals, built and relaxed."""
