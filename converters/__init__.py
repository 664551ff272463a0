"""Host side: a model directory becomes a bundle whose artifacts have been run and compared before they are packed."""
