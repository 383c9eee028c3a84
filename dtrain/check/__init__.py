"""Reads programs written for PyTorch, without running them, for names that dtrain lacks."""

from dtrain.check.findings import Finding as Finding, check_source as check_source
from dtrain.check.folders import CheckReport as CheckReport, check_paths as check_paths
