"""The programs are run by the tests, not imported by pytest."""

collect_ignore_glob = ["scripts/*", "ddp/*"]
