"""What a command is asked, from flags and files: the parser, and what is made of it.

Knows all commands by their configurations, and imports no job.
"""
