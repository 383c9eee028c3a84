"""`dtrain debug`: ranks as threads of one process, under pdb."""
