"""The model server: Starlette on LiteRT or TensorFlow; it obeys its channel's document."""
