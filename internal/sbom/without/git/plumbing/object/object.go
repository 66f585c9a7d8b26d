// Package object has the types of a repository's objects.
package object

import "errors"

var errNone = errors.New("libre-inspect opens no repository")

type (
	Commit struct{}
	Tree   struct{}
	File   struct{}
)

func (*Commit) Tree() (*Tree, error)     { return nil, errNone }
func (*Tree) File(string) (*File, error) { return nil, errNone }
func (*File) Contents() (string, error)  { return "", errNone }
