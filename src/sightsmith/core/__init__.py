"""What everything else stands on: errors, settings, names, pictures and files. Imports nothing of ours."""
