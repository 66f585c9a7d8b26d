package main

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Modes that git knows.
const (
	fileMode    = 0o100644
	programMode = 0o100755
	linkMode    = 0o120000
	folderMode  = 0o40000
)

// addFolder adds a folder and all in it, name being its path in the repository, "" for
// all. Empty folders are none to git: their id is that of the empty tree.
func (p *pack) addFolder(index *index, folder, name string) (id, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return id{}, err
	}
	// A folder's name is sorted as if it ended in a slash.
	key := func(e os.DirEntry) string {
		if e.IsDir() {
			return e.Name() + "/"
		}
		return e.Name()
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return bytes.Compare([]byte(key(a)), []byte(key(b))) })
	var tree []byte
	for _, e := range entries {
		if e.Name() == ".git" { // git takes none
			continue
		}
		path, inside := filepath.Join(folder, e.Name()), name+e.Name()
		mode, size, object, err := p.addEntry(index, e, path, inside)
		if err != nil {
			return id{}, err
		}
		if mode == folderMode && object == emptyTree {
			continue
		}
		if mode != folderMode {
			index.add(inside, mode, size, object)
		}
		tree = append(fmt.Appendf(tree, "%o %s\x00", mode, e.Name()), object[:]...)
	}
	if len(tree) == 0 && name != "" {
		return emptyTree, nil
	}
	return p.addBytes(treeObject, tree)
}

var emptyTree = id(sha1.Sum([]byte("tree 0\x00")))

func (p *pack) addEntry(index *index, e os.DirEntry, path, inside string) (mode uint32, size int64, object id, err error) {
	info, err := e.Info()
	if err != nil {
		return 0, 0, id{}, err
	}
	size = info.Size()
	switch {
	case e.IsDir():
		mode = folderMode
		object, err = p.addFolder(index, path, inside+"/")
	case e.Type()&os.ModeSymlink != 0:
		mode = linkMode
		var target string
		if target, err = os.Readlink(path); err == nil {
			object, err = p.addBytes(blobObject, []byte(target))
		}
	case e.Type().IsRegular():
		mode = fileMode
		if info.Mode()&0o100 != 0 {
			mode = programMode
		}
		object, err = p.addFile(path, size)
	default:
		err = fmt.Errorf("%s is neither file, folder nor symbolic link", inside)
	}
	return mode, size, object, err
}

// index is what git takes for checked out.
type index struct {
	time    uint32 // of all files, in seconds since 1970
	entries []indexEntry
}

type indexEntry struct {
	name   string
	mode   uint32
	size   int64
	object id
}

func (x *index) add(name string, mode uint32, size int64, object id) {
	x.entries = append(x.entries, indexEntry{name, mode, size, object})
}

// assumeValid has git look at no file: it is what was committed. An ignore file may have
// left it out, or a COPY given it another mode, and neither makes a release another one.
const assumeValid = 0x8000

// encode gives version 2 of the format. https://git-scm.com/docs/index-format
func (x *index) encode() []byte {
	slices.SortFunc(x.entries, func(a, b indexEntry) int { return bytes.Compare([]byte(a.name), []byte(b.name)) })
	big := binary.BigEndian
	data := big.AppendUint32([]byte("DIRC\x00\x00\x00\x02"), uint32(len(x.entries)))
	for _, e := range x.entries {
		start := len(data)
		for _, field := range []uint32{x.time, 0, x.time, 0, 0, 0, e.mode, 0, 0, uint32(e.size)} { // changed, modified, device, inode, mode, owner, group, size
			data = big.AppendUint32(data, field)
		}
		data = append(data, e.object[:]...)
		data = big.AppendUint16(data, assumeValid|uint16(min(len(e.name), 0xfff)))
		data = append(data, e.name...)
		data = append(data, make([]byte, 8-(len(data)-start)%8)...)
	}
	sum := sha1.Sum(data)
	return append(data, sum[:]...)
}
