module example.org/album

go 1.19
