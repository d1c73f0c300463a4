"""What a command says while it runs: as text or as JSON, at once or only if it fails.

Knows of no command and of no job; everything that speaks may import it.
"""
