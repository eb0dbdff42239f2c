"""How kernels become machine code, where that is kept, and who is told while it is made."""
