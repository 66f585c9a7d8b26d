// Command describe puts a git repository into a folder: one commit of all that is in
// it, and a tag on that. What a build asks git for has an answer then: git describe
// gives the tag, with --dirty too, and git rev-parse HEAD a hash of the content.
//
//	describe FOLDER TAG TIME
//
// TIME is the commit's and the tag's, in seconds since 1970. The same folder, tag and
// time give the same bytes, whatever Go this is built with: nothing is compressed, and
// no file says when or by whom it was written.
package main

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: describe FOLDER TAG TIME")
		os.Exit(2)
	}
	if err := describe(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "source.describe:", err)
		os.Exit(1)
	}
}

// config lets git look at no more than it has to. What a build makes beside the source
// is no change of it, and engines give files other modes than the source has.
const config = `[core]
	repositoryformatversion = 0
	filemode = false
	bare = false
[status]
	showUntrackedFiles = no
`

func describe(folder, tag, seconds string) error {
	if !isTag(tag) {
		return fmt.Errorf("%q is no name of a tag in git: correct source.tag", tag)
	}
	at, err := strconv.ParseUint(seconds, 10, 32)
	if err != nil {
		return fmt.Errorf("time %q: expected seconds since 1970", seconds)
	}
	git := filepath.Join(folder, ".git")
	if _, err := os.Lstat(git); err == nil {
		return fmt.Errorf("the source has a .git of its own: remove source.describe")
	}
	objects := filepath.Join(git, "objects", "pack")
	if err := os.MkdirAll(objects, 0o755); err != nil {
		return err
	}
	pack, err := newPack(objects)
	if err != nil {
		return err
	}
	defer pack.file.Close()
	index := &index{time: uint32(at)}
	tree, err := pack.addFolder(index, folder, "")
	if err != nil {
		return err
	}
	who := fmt.Sprintf("libre <libre@localhost> %d +0000", at)
	commit, err := pack.addBytes(commitObject, fmt.Appendf(nil,
		"tree %s\nauthor %s\ncommitter %s\n\n%s\n\nThe source of a build by libre. Upstream's commit has another hash.\n", tree, who, who, tag))
	if err != nil {
		return err
	}
	// An annotated tag: git describe sees no others without --tags.
	object, err := pack.addBytes(tagObject, fmt.Appendf(nil, "object %s\ntype commit\ntag %s\ntagger %s\n\n%s\n", commit, tag, who, tag))
	if err != nil {
		return err
	}
	if err := pack.finish(objects); err != nil {
		return err
	}
	for name, content := range map[string]string{
		"HEAD":             commit.String() + "\n", // detached, as CI checks a tag out
		"config":           config,
		"index":            string(index.encode()),
		"refs/tags/" + tag: object.String() + "\n",
	} {
		path := filepath.Join(git, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// notInTags is what the name of a tag has not. https://git-scm.com/docs/git-check-ref-format
var notInTags = regexp.MustCompile(`[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|^[/.-]|[/.]$|^@$|^$`)

func isTag(name string) bool { return !notInTags.MatchString(name) }

// id names an object: the SHA-1 of its kind, size and content.
type id [sha1.Size]byte

func (i id) String() string { return hex.EncodeToString(i[:]) }
