module github.com/sassoftware/go-rpmutils

go 1.26
