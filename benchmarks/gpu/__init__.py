"""The benchmark on an NVIDIA GPU: one command, see run.sh."""
