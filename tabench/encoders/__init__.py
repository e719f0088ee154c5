"""What is adapted: the encoders, and the multi-task model built around one."""
