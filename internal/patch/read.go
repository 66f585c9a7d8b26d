// Package patch reads patches from outside: a file, a URL, or a commit of the repository that
// an app's source comes from. The patches that it returns only change text inside of a source.
// It writes them anew, so no other program can read more in them.
package patch

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/bluekeyes/go-gitdiff/gitdiff"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/text"
)

const (
	// Most is the size in bytes of the largest patch.
	Most      = 4 << 20
	mostFiles = 1000
	mostSaid  = 200 // characters of a line of the header
)

// Patch is a patch that libre may store.
type Patch struct {
	Text   []byte   // header, and a unified diff of git's dialect for `patch -p1`
	Files  []string // files that it changes, in the source, sorted
	Commit string   // 40 hexadecimal digits; "" if it is not a commit below the address of the source's repository
	Origin string   // URL that it comes from, "" for a local file
	IDs    []string // IDs of vulnerabilities that its text mentions; anybody may have written them
	Notes  []string // what the user should know about its origin

	named string // commit in its header, 40 digits; "" for none
}

// Read reads a unified diff, in git's dialect or not, with a commit message or without. It
// refuses everything except changes of text inside of a source: links, submodules, binary files
// and names outside. It also refuses what some patch programs cannot do: renames, copies and
// empty files.
func Read(content []byte) (*Patch, error) {
	if len(content) > Most {
		return nil, fmt.Errorf("it has more than %d bytes", Most)
	}
	files, preamble, err := gitdiff.Parse(bytes.NewReader(content))
	if err != nil {
		return nil, errors.New(text.Line(strings.TrimPrefix(err.Error(), "gitdiff: ")))
	}
	switch {
	case len(files) == 0 && bytes.Contains(content[:min(len(content), 1000)], []byte("<html")):
		return nil, errors.New("it is a web page: give the address of the patch itself, which often ends in .patch")
	case len(files) == 0:
		return nil, errors.New("it has no unified diff")
	case len(files) > mostFiles:
		return nil, fmt.Errorf("it changes more than %d files", mostFiles)
	}
	patch := &Patch{IDs: mentioned(content)}
	body := &bytes.Buffer{}
	plain := !gitHeader().Match(content)
	for _, file := range files {
		if plain {
			file.OldName, file.NewName = stripped(file.OldName), stripped(file.NewName)
		}
		if err := check(file); err != nil {
			return nil, err
		}
		body.WriteString(formatted(file))
		for _, name := range []string{file.OldName, file.NewName} {
			if name != "" {
				patch.Files = append(patch.Files, name)
			}
		}
	}
	slices.Sort(patch.Files)
	patch.Files = slices.Compact(patch.Files)
	said, err := gitdiff.ParsePatchHeader(preamble)
	if err == nil && said != nil {
		patch.Text = header(said)
		if wholeID().MatchString(said.SHA) {
			patch.named = said.SHA
		}
	}
	patch.Text = append(patch.Text, body.Bytes()...)
	return patch, nil
}

var wholeID = lazyregexp.New(`\A[0-9a-f]{40}\z`)

// gitHeader matches a line that only patches in git's dialect have. Lines of a diff begin with
// other characters.
var gitHeader = lazyregexp.New(`(?m)^diff --git `)

// stripped returns a name without its first folder, as for `patch -p1`.
func stripped(name string) string {
	_, rest, found := strings.Cut(name, "/")
	if !found || strings.HasPrefix(name, "/") {
		return name // "", /dev/null, or an absolute name; all are refused later
	}
	return rest
}

// plainName matches a name that all patch programs read in the same way. They end other names
// at a space, or unquote them in different ways.
var plainName = lazyregexp.New(`\A[!#-&(-\[\]-~]+\z`)

const addFile = "remove it from the patch, and add the file by addToSource in the definition"

// check refuses a file of a patch that is not a change of text inside of the source.
func check(f *gitdiff.File) error {
	name := f.NewName
	if name == "" {
		name = f.OldName
	}
	shown := text.Name(name)
	refuse := func(format string, arguments ...any) error {
		return fmt.Errorf("%s: %s", shown, fmt.Sprintf(format, arguments...))
	}
	if f.OldName == "" && !f.IsNew || f.NewName == "" && !f.IsDelete || name == "" {
		return errors.New("a file in it has no name")
	}
	for _, n := range []string{f.OldName, f.NewName} {
		switch {
		case strings.HasSuffix(n, "\r"):
			return refuse("the lines of the diff's header end in CRLF: convert the patch with dos2unix")
		case n != "" && (!fs.ValidPath(n) || n == "."):
			return refuse("it is not a path inside of the source")
		case n != "" && !plainName().MatchString(n):
			return refuse("its name has spaces, quotes or characters beyond ASCII, which patch programs read differently")
		case slices.Contains(strings.Split(n, "/"), ".git"):
			return refuse("it is in a folder .git")
		}
	}
	for _, mode := range []fs.FileMode{f.OldMode, f.NewMode} {
		switch mode {
		case 0, 0o100644, 0o100755, 0o100664:
		case 0o120000:
			return refuse("it is a symbolic link, which a patch must not change")
		case 0o160000:
			return refuse("it is a submodule, which a patch cannot change")
		default:
			return refuse("it has the mode %o, expected a file", uint32(mode))
		}
	}
	switch {
	case f.OldName != "" && f.NewName != "" && f.OldName != f.NewName && !f.IsRename && !f.IsCopy:
		return refuse("its former name is %s, but the patch does not say that it is renamed", text.Name(f.OldName))
	case f.IsBinary:
		return &fault.Fault{Err: refuse("it is a binary file, which patch cannot change"), Fix: addFile}
	case f.IsRename:
		return refuse("it is renamed from %s, which not every patch program does: write the patch with git diff --no-renames", text.Name(f.OldName))
	case f.IsCopy:
		return refuse("it is copied from %s, which not every patch program does: write the patch with git diff --no-renames", text.Name(f.OldName))
	case len(f.TextFragments) == 0:
		return &fault.Fault{Err: refuse("the patch has no lines for it, and not every patch program makes an empty file or changes a mode"), Fix: addFile}
	}
	for _, hunk := range f.TextFragments {
		if hunk.LinesAdded+hunk.LinesDeleted == 0 {
			return refuse("its hunk %s changes no line", text.Name(hunk.Header()))
		}
	}
	return nil
}

// formatted returns the diff of a file in git's dialect. It only uses its lines and mode.
func formatted(f *gitdiff.File) string {
	plain := &gitdiff.File{OldName: f.OldName, NewName: f.NewName, IsNew: f.IsNew, IsDelete: f.IsDelete, OldMode: f.OldMode, NewMode: f.NewMode}
	if f.IsNew && f.NewMode == 0 {
		plain.NewMode = 0o100644
	}
	if f.IsDelete && f.OldMode == 0 {
		plain.OldMode = 0o100644
	}
	for _, hunk := range f.TextFragments {
		hunk := *hunk
		if hunk.Comment != text.Line(hunk.Comment) {
			hunk.Comment = ""
		}
		plain.TextFragments = append(plain.TextFragments, &hunk)
	}
	return plain.String()
}

// header returns the author, the date and the subject of a patch, one per line. It drops the
// rest of the message, which some program may read as a diff.
func header(read *gitdiff.PatchHeader) []byte {
	var lines bytes.Buffer
	line := func(name, value string) {
		if value = text.Short(value, mostSaid); value != "" {
			lines.WriteString(name + ": " + value + "\n")
		}
	}
	if read.Author != nil {
		line("From", read.Author.String())
	}
	if !read.AuthorDate.IsZero() {
		line("Date", read.AuthorDate.Format("Mon, 2 Jan 2006 15:04:05 -0700"))
	}
	line("Subject", read.Title)
	if lines.Len() > 0 {
		lines.WriteString("\n")
	}
	return lines.Bytes()
}
