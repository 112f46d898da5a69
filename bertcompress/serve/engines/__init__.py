"""Engines: what runs batches for the front, in processes of their own or in the front's."""
