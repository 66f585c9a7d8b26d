package nix

import (
	"strconv"
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
)

// Missing is what Nix will build, and fetch from substituters.
type Missing struct {
	Build    []string // derivations
	Fetch    []string // store paths
	Download int64    // compressed size of Fetch in bytes, as precise as Nix prints it
}

// Nix prints both lists before it begins: up to 2.3 without a number, from 2.4 on in the
// singular for one path.
var (
	willBuild = lazyregexp.New(`^(?:these (?:\d+ )?derivations|this derivation) will be built:$`)
	willFetch = lazyregexp.New(`^(?:these (?:\d+ )?paths|this path) will be fetched \((\d+(?:\.\d+)? [KMGTPE]?i?B) download, .* unpacked\):$`)
)

// missingReader collects Missing from messages.
type missingReader struct {
	missing Missing
	list    *[]string // the list of the next store path
}

// read reports whether an event is a part of the lists.
func (r *missingReader) read(event LogEvent) bool {
	if event.Kind != LogMessage || event.Level <= LogWarning {
		return false
	}
	if willBuild().MatchString(event.Text) {
		r.list = &r.missing.Build
		return true
	}
	if found := willFetch().FindStringSubmatch(event.Text); found != nil {
		r.list = &r.missing.Fetch
		r.missing.Download = parseSize(found[1])
		return true
	}
	if r.list == nil || storePath().FindString(event.Text) != event.Text {
		return false
	}
	*r.list = append(*r.list, event.Text)
	return true
}

// parseSize parses a size as Nix prints it, such as "3.02 MiB".
func parseSize(size string) int64 {
	number, unit, _ := strings.Cut(size, " ")
	value, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0
	}
	for range 1 + strings.Index("KMGTPE", unit[:1]) {
		value *= 1024
	}
	return int64(value)
}
