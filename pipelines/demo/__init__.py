"""`stylebeam demo`: one photograph in 25 styles, with pictures that are packaged.

Uses `stylize` as a person would, so it stands above the rooms of jobs.
"""
