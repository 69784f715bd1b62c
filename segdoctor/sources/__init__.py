"""Model files, data folders and batches as they come, and the settings a user names."""
