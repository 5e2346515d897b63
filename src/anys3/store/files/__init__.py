"""Blobs as files of a directory that several machines share."""
