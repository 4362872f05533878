"""Our own engine: a network as plain C, its channel maps read through tables of offsets."""
