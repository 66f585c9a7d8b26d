module github.com/go-git/go-git/v5

go 1.26

require github.com/go-git/go-billy/v5 v5.9.1
