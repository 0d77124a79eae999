"""The devices: what they are and hold, who may connect, whether they are there, and how to speak to them."""
