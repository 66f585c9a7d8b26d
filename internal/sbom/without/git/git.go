// Package git stands in for github.com/go-git/go-git/v5, with which syft would clone the
// repositories of Go modules and vcpkg ports to look for licences. libre has syft ask
// nobody: what is in an image is told by the image. This one has the names that syft
// uses, and refuses to clone and to open.
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

// ErrNoRepositories is what every call ends with.
var ErrNoRepositories = errors.New("libre-files opens no repository")

// Repository would be one.
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

// Worktree would be checked out.
type Worktree struct{}

func (*Worktree) Checkout(*CheckoutOptions) error { return ErrNoRepositories }
