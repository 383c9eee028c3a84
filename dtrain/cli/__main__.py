"""`python -m dtrain.cli` is `dtrain`."""

from dtrain.cli.main import app

app(prog_name="dtrain")
