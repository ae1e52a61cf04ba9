"""Boxes: the objects in a picture, each with a name, a score and the box around it."""
