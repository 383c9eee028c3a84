"""Communicators over MPI, threads and NCCL, and the tree reduction."""
