"""Setting a broker up: who may publish and read what, and a broker's own files that say so."""
