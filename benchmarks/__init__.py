"""One claim is one script: it prints its figures, the ratio, the target and the machine."""
