"""SAM from segment_anything, its checkpoints, and mSAM built from both."""
