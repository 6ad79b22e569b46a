"""A demonstration that needs no data of the user's and no network."""
