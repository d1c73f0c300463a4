"""Objects in buckets: Google Cloud Storage, Amazon S3 and Azure, all by one protocol.

This room knows names, bytes and versions of objects, and how to be patient with a
store; it knows nothing of folders and nothing of Beam. It imports no other room.
"""
