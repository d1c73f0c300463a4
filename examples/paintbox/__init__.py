"""The paintbox of `paintings.py`: materials, tools, and the paintings by medium."""
