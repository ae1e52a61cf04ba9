"""From files on a disk to batches: sources, the gate, splits, augmentation, loading."""
