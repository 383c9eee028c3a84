"""The command line: `dtrain run`, `debug`, `doctor`, `bench`."""
