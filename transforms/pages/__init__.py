"""HTML that opens from disk: one base page, galleries, charts, templates.

Gets data, gives files; knows no job. May import `transforms.storage`.
"""
