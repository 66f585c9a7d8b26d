// Package rpmutils replaces github.com/sassoftware/go-rpmutils, with which syft reads
// package files (*.rpm) in source trees. In images syft reads the database of installed
// packages with another library. This package has the names that syft needs; every read
// fails.
package rpmutils

import (
	"errors"
	"io"
)

// ErrNoPackageFiles is the error of every call.
var ErrNoPackageFiles = errors.New("libre-inspect reads no RPM package files")

// Tags of a header.
const (
	VENDOR = iota
	LICENSE
	SOURCERPM
	FILEDIGESTALGO
	SIG_RSA
	SIG_PGP
)

// ReadRpm fails.
func ReadRpm(io.Reader) (*Rpm, error) { return nil, ErrNoPackageFiles }

// GetFileAlgoName returns no name.
func GetFileAlgoName(int) string { return "" }

type (
	// Rpm would be a package file.
	Rpm struct{ Header *RpmHeader }

	// RpmHeader would be its header.
	RpmHeader struct{}

	NEVRA struct{ Name, Epoch, Version, Release, Arch string }

	// FileInfo would be one of its files.
	FileInfo interface {
		Name() string
		Size() int64
		UserName() string
		GroupName() string
		Flags() int
		Digest() string
		Mode() int
	}
)

func (*RpmHeader) GetNEVRA() (*NEVRA, error)        { return nil, ErrNoPackageFiles }
func (*RpmHeader) GetString(int) (string, error)    { return "", ErrNoPackageFiles }
func (*RpmHeader) GetStrings(int) ([]string, error) { return nil, ErrNoPackageFiles }
func (*RpmHeader) GetUint32s(int) ([]uint32, error) { return nil, ErrNoPackageFiles }
func (*RpmHeader) GetBytes(int) ([]byte, error)     { return nil, ErrNoPackageFiles }
func (*RpmHeader) InstalledSize() (int64, error)    { return 0, ErrNoPackageFiles }
func (*RpmHeader) GetFiles() ([]FileInfo, error)    { return nil, ErrNoPackageFiles }
