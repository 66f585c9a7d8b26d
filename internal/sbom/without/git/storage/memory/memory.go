// Package memory would keep a repository in memory.
package memory

import "github.com/go-git/go-git/v5/storage"

func NewStorage() storage.Storer { return nil }
