"""Transactions: work that survivors of a failed rank run again."""
