package propose

import (
	"bytes"
	"maps"
	"slices"

	unified "github.com/rogpeppe/go-internal/diff"
)

// Diff tells what happens to files of a catalogue, by path: a unified diff as git
// shows it, that git apply takes. A content that is nil is of no file.
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
		// The first line is the tool's own, and no part of the format.
		if _, hunks, found := bytes.Cut(unified.Diff(was, before[name], is, after[name]), []byte("\n")); found {
			text.Write(hunks)
		}
	}
	return text.String()
}
