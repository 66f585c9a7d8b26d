// Package storage would keep a repository.
package storage

type Storer any
