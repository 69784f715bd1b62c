"""Short trainings on one batch that confirm or refute a fix."""
