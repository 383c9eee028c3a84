"""Worker processes and threads of a DataLoader, which load its batches ahead."""
