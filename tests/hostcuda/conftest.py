"""hostcuda's own checks run only when they are named: see README.md."""

collect_ignore = ["test_hostcuda.py", "hostcuda.py"]
