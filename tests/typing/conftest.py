"""The scripts are for type checkers alone: they are not run."""

collect_ignore = ["mistakes.py", "valid.py"]
