"""The base of all other packages: errors, settings, names, pictures and files. It imports none of them."""
