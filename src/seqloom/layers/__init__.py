"""The pieces that encoders and decoders are made of."""
