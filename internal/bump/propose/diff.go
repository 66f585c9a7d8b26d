package propose

import (
	"bytes"
	"maps"
	"slices"

	unified "github.com/rogpeppe/go-internal/diff"
)

// Diff returns the change of a catalogue's files, by path, as a unified diff for git apply. The
// content of a file that does not exist is nil.
func Diff(before, after map[string][]byte) string {
	all := maps.Clone(before)
	if all == nil {
		all = map[string][]byte{}
	}
	maps.Copy(all, after)
	var text bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(all)) {
		was, is := "a/"+name, "b/"+name
		if before[name] == nil {
			was = "/dev/null"
		}
		if after[name] == nil {
			is = "/dev/null"
		}
		// The first line comes from the tool, and is not part of the format.
		if _, hunks, found := bytes.Cut(unified.Diff(was, before[name], is, after[name]), []byte("\n")); found {
			text.Write(hunks)
		}
	}
	return text.String()
}
