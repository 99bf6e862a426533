"""The model server: Starlette on LiteRT or TensorFlow; it reconciles itself with its channel's document."""
