"""What ran where: environment capture, determinism switches, checksums. No torch at import."""
