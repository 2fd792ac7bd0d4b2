module butler.example/peer

go 1.24
