"""Tables of test cases: one row for each operation, layer, kernel and optimizer."""
