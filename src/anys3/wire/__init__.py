"""The wire, as the spec says it: which operation a request is, what it asks for, how answers look."""
