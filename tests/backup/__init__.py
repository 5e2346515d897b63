"""Backups that are taken under load and killed on the way, and what they hold then."""
