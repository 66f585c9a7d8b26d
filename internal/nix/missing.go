package nix

import (
	"regexp"
	"strconv"
	"strings"
)

// Missing is what Nix says that it has to do, before it begins: what it will build
// and what substituters have.
type Missing struct {
	Build    []string // derivations
	Fetch    []string // store paths
	Download int64    // bytes of Fetch, compressed, as exactly as Nix says it
}

// Nix writes both lists before it begins. Up to 2.3 without a number; of one alone
// from 2.4 on in the singular.
var (
	willBuild = regexp.MustCompile(`^(?:these (?:\d+ )?derivations|this derivation) will be built:$`)
	willFetch = regexp.MustCompile(`^(?:these (?:\d+ )?paths|this path) will be fetched \((\d+(?:\.\d+)? [KMGTPE]?i?B) download, .* unpacked\):$`)
)

// missingReader collects what is missing from the messages that say it.
type missingReader struct {
	missing Missing
	list    *[]string // that the next store path belongs to
}

// read tells whether an event is part of what it collects.
func (r *missingReader) read(event LogEvent) bool {
	if event.Kind != LogMessage || event.Level <= LogWarning {
		return false
	}
	if willBuild.MatchString(event.Text) {
		r.list = &r.missing.Build
		return true
	}
	if found := willFetch.FindStringSubmatch(event.Text); found != nil {
		r.list = &r.missing.Fetch
		r.missing.Download = parseSize(found[1])
		return true
	}
	if r.list == nil || storePath.FindString(event.Text) != event.Text {
		return false
	}
	*r.list = append(*r.list, event.Text)
	return true
}

// parseSize reads a size as Nix writes it, such as "3.02 MiB".
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
