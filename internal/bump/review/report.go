package review

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/text"
)

// FindingKind is the kind of a finding.
type FindingKind string

// In the order of the report.
const (
	LicenceFinding       FindingKind = "licence"
	VersionFinding       FindingKind = "version"
	RuntimeFinding       FindingKind = "runtime"
	MigrationFinding     FindingKind = "migration"
	SettingFinding       FindingKind = "setting"
	ContainerfileFinding FindingKind = "containerfile"
	SubmoduleFinding     FindingKind = "submodule"
	LockFinding          FindingKind = "lock"
	IncompleteFinding    FindingKind = "incomplete" // what was not compared
)

// Finding is something that a reviewer should know. Path and Text are one line each, of
// limited length and without control characters, but still outside text.
type Finding struct {
	Kind FindingKind `json:"kind"`
	Path string      `json:"path,omitempty"` // a file or folder of the source
	Text string      `json:"text"`           // in one line
}

func (f Finding) String() string {
	if f.Path == "" {
		return f.Text
	}
	return f.Path + ": " + f.Text
}

// Sources are the two versions of an app's source.
type Sources struct {
	Before, After       fs.FS
	OldVersion, Version string
	// Containerfiles are the Containerfiles of the app's components. If there are none, those in
	// the top folder and in its folders are compared.
	Containerfiles []ContainerfileUse
}

// ContainerfileUse describes how a component uses a Containerfile.
type ContainerfileUse struct {
	Path     string // in the source
	Target   string // "" is the last stage
	Args     map[string]string
	Contexts []string // names of named contexts
}

const (
	maxReported  = 20      // findings of each kind
	maxWalked    = 400_000 // entries of a tree
	maxDepth     = 40      // folders
	maxSubjects  = 4_000   // files of each kind in a tree
	maxSmallFile = 256 << 10
	maxLockFile  = 16 << 20
)

// skippedFolders have third-party files, or files for tests.
var skippedFolders = []string{".git", "node_modules", "bower_components", ".yarn", "vendor", "Godeps", "site-packages", "third_party", "testdata", "fixtures", "__fixtures__"}

// subject describes one kind of file to compare.
type subject struct {
	kind    FindingKind
	matches func(r *reviewer, name string) bool
	size    int64 // larger files are skipped
	same    bool  // also compare unchanged files
	// compare returns one text for each change. The content of a missing file is nil.
	compare func(r *reviewer, name string, before, after []byte) []string
}

var subjects = []subject{
	{kind: LicenceFinding, matches: isLicence, size: maxSmallFile, compare: compareLicences},
	{kind: VersionFinding, matches: isManifest, size: maxSmallFile, same: true, compare: compareVersion},
	{kind: RuntimeFinding, matches: hasRuntime, size: maxSmallFile, compare: compareRuntimes},
	{kind: SettingFinding, matches: isExample, size: maxSmallFile, compare: compareSettings},
	{kind: ContainerfileFinding, matches: isContainerfile, size: maxSmallFile, compare: compareContainerfiles},
	{kind: SubmoduleFinding, matches: isModules, size: maxSmallFile, compare: compareModules},
	{kind: LockFinding, matches: isLock, size: maxLockFile, compare: compareLocks},
}

// Review compares two versions of a source. It returns what a reviewer should know, ordered by
// kind and path. The files are foreign data: their number and size are limited, and a file that
// cannot be parsed counts as changed. An error comes from walking a source.
func Review(s Sources) ([]Finding, error) {
	r := &reviewer{Sources: s}
	before, err := r.walk(s.Before)
	if err != nil {
		return nil, fmt.Errorf("reading the old source: %w", err)
	}
	after, err := r.walk(s.After)
	if err != nil {
		return nil, fmt.Errorf("reading the new source: %w", err)
	}
	for i, subject := range subjects {
		if subject.kind == SettingFinding {
			r.compareMigrations(before.migrations, after.migrations)
			r.compareStatements(before.code, after.code)
		}
		r.compareFiles(subject, before.files[i], after.files[i])
	}
	return r.findings(), nil
}

type reviewer struct {
	Sources
	all        []Finding
	incomplete []string
}

// listing is the sorted result of a walk.
type listing struct {
	files      [][]string // by subject
	migrations []string
	code       []string // without migrations
}

// walk lists the files to compare. It follows no links.
func (r *reviewer) walk(source fs.FS) (*listing, error) {
	found := &listing{files: make([][]string, len(subjects))}
	entries := 0
	note := func(list *[]string, name string, limit int) {
		if len(*list) < limit {
			*list = append(*list, name)
		} else {
			r.skip("more than %d files of a kind: not all were compared", limit)
		}
	}
	err := fs.WalkDir(source, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entries++; entries > maxWalked {
			r.skip("more than %d files: not all were compared", maxWalked)
			return fs.SkipAll
		}
		if d.IsDir() {
			if slices.Contains(skippedFolders, d.Name()) || strings.Count(name, "/") > maxDepth {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		for i, subject := range subjects {
			if subject.matches(r, name) {
				note(&found.files[i], name, maxSubjects)
			}
		}
		switch {
		case isMigration(source, name):
			note(&found.migrations, name, maxSubjects)
		case isCode(name):
			note(&found.code, name, maxCode)
		}
		return nil
	})
	for _, list := range append(found.files, found.migrations, found.code) {
		slices.Sort(list) // a walk has a/b before a.b
	}
	return found, err
}

func (r *reviewer) skip(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(r.incomplete, text) {
		r.incomplete = append(r.incomplete, text)
	}
}

func (r *reviewer) compareFiles(s subject, before, after []string) {
	names := slices.Concat(before, after)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		was, wasOK := r.read(r.Before, s, name, listsName(before, name))
		is, isOK := r.read(r.After, s, name, listsName(after, name))
		if !wasOK || !isOK || bytes.Equal(was, is) && (was == nil) == (is == nil) && !s.same {
			continue
		}
		for _, text := range s.compare(r, name, was, is) {
			r.report(s.kind, name, text)
		}
	}
}

func listsName(sorted []string, name string) bool {
	_, found := slices.BinarySearch(sorted, name)
	return found
}

// read returns a file's content, or nil if there is no file. ok is false if the file cannot be
// read.
func (r *reviewer) read(source fs.FS, s subject, name string, there bool) (data []byte, ok bool) {
	if !there {
		return nil, true
	}
	data, err := readStart(source, name, s.size+1)
	switch {
	case err != nil:
		r.skip("%s cannot be read", text.Name(name))
		return nil, false
	case int64(len(data)) > s.size:
		r.skip("%s is too large to be compared", text.Name(name))
		return nil, false
	}
	return data, true // not nil, even if it is empty
}

// readStart reads the first bytes of a file.
func readStart(source fs.FS, name string, size int64) ([]byte, error) {
	f, err := source.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, size))
}

func (r *reviewer) report(kind FindingKind, name, what string) {
	r.all = append(r.all, Finding{kind, text.Name(name), text.Line(what)})
}

// findings returns the findings of each kind up to a limit, and the number of the others.
func (r *reviewer) findings() []Finding {
	for _, text := range r.incomplete {
		r.report(IncompleteFinding, "", text)
	}
	var kept []Finding
	count := map[FindingKind]int{}
	for i, f := range r.all {
		if count[f.Kind]++; count[f.Kind] <= maxReported {
			kept = append(kept, f)
		}
		if last := i+1 == len(r.all) || r.all[i+1].Kind != f.Kind; last && count[f.Kind] > maxReported {
			kept = append(kept, Finding{Kind: f.Kind, Text: fmt.Sprintf("%d more like these", count[f.Kind]-maxReported)})
		}
	}
	return kept
}

// arrow returns "old → new". Either may be missing.
func arrow(before, after string) string {
	return shownValue(before) + " → " + shownValue(after)
}

func shownValue(value string) string {
	if value = text.Name(value); value == "" {
		return "none"
	}
	return value
}

// namesOf lists at most eight names.
func namesOf(names []string) string {
	shown := make([]string, len(names))
	for i, name := range names {
		shown[i] = text.Name(name)
	}
	return text.Enumerate(shown, ", ", 8)
}

// differences returns the names that are in only one of two lists, in order.
func differences(before, after []string) (added, gone []string) {
	only := func(list, other []string) (names []string) {
		there := map[string]bool{}
		for _, name := range other {
			there[name] = true
		}
		for _, name := range list {
			if !there[name] {
				there[name] = true
				names = append(names, name)
			}
		}
		return names
	}
	return only(after, before), only(before, after)
}

// addedAndGone returns one text for both lists, or "" if both are empty.
func addedAndGone(added, gone []string) string {
	var parts []string
	if len(added) > 0 {
		parts = append(parts, "new: "+namesOf(added))
	}
	if len(gone) > 0 {
		parts = append(parts, "gone: "+namesOf(gone))
	}
	return strings.Join(parts, "; ")
}

// depth returns the number of folders above a file.
func depth(name string) int { return strings.Count(path.Clean(name), "/") }
