"""Images that maximize responses: objectives, starting images, optimizers and the loop."""
