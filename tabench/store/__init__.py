"""Records on disk: layout, atomic writes, index. No torch."""
