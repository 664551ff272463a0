"""What nobody may see in a picture that is shown or sent."""
