// Package git replaces github.com/go-git/go-git/v5, with which syft can clone repositories
// of Go modules and vcpkg ports to find licences. In libre, syft reads the image only. This
// package has the names that syft needs; every call fails.
package git

import (
	"context"
	"errors"
	"io"

	"github.com/go-git/go-billy/v5"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage"
)

// ErrNoRepositories is the error of every call.
var ErrNoRepositories = errors.New("libre-inspect opens no repository")

// Repository would be a repository.
type Repository struct{ Storer storage.Storer }

type CloneOptions struct {
	URL           string
	ReferenceName plumbing.ReferenceName
	SingleBranch  bool
	Depth         int
	Progress      io.Writer
}

type CheckoutOptions struct{ Hash plumbing.Hash }

func Clone(storage.Storer, billy.Filesystem, *CloneOptions) (*Repository, error) {
	return nil, ErrNoRepositories
}

func CloneContext(context.Context, storage.Storer, billy.Filesystem, *CloneOptions) (*Repository, error) {
	return nil, ErrNoRepositories
}

func Open(storage.Storer, billy.Filesystem) (*Repository, error) { return nil, ErrNoRepositories }
func PlainOpen(string) (*Repository, error)                      { return nil, ErrNoRepositories }

func (*Repository) CommitObject(plumbing.Hash) (*object.Commit, error) {
	return nil, ErrNoRepositories
}
func (*Repository) TreeObject(plumbing.Hash) (*object.Tree, error) { return nil, ErrNoRepositories }
func (*Repository) ResolveRevision(plumbing.Revision) (*plumbing.Hash, error) {
	return nil, ErrNoRepositories
}
func (*Repository) Worktree() (*Worktree, error) { return nil, ErrNoRepositories }

// Worktree would be a checkout.
type Worktree struct{}

func (*Worktree) Checkout(*CheckoutOptions) error { return ErrNoRepositories }
