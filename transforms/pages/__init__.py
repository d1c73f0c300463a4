"""HTML that opens from disk: one base page, galleries, charts, templates.

This room gets data and gives files; it knows no job. It may import
`transforms.storage`.
"""
