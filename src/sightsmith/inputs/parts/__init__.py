"""What several inputs share."""
