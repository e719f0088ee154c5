"""The benchmark: time, memory and FLOPs of the fast path against the plain one, each measurement a job."""
