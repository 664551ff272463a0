"""How the files of a repository come onto the box: from web servers or a folder, resumed, verified, paced."""
