"""From advice to configuration: a YAML file changed in place, and settings for other trainers."""
