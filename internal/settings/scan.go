package settings

import (
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// Scan configures how images are scanned for known vulnerabilities.
type Scan struct {
	Database string        // a folder or file with an absolute path, or an address; empty means grype's distribution
	MaxAge   time.Duration // of the database; 0 is the default
	Command  []string      // an external scanner and its arguments; none for libre's own
	Gate     string        // severity from which a new finding holds a release back; empty for none
}

func (s *Scan) keys(dir string) []key {
	return []key{
		{"database", "", "a folder, a file or an https:// address with a vulnerability database of grype (default https://grype.anchore.io/databases)", "database: https://mirror.example/grype/databases", path(&s.Database, dir)},
		{"maxAge", "", "a time in h, for how old the database may be (default 120h)", "maxAge: 240h", duration(&s.MaxAge)},
		{"command", "", "a program and its arguments for scan --external, where {sbom} and {vex} stand for files", `command: [grype, "sbom:{sbom}", --vex, "{vex}"]`, words(&s.Command)},
		{"gate", "", "critical, high, medium, low or negligible: a release that adds such a finding is held back", "gate: critical", text(&s.Gate, oneOf("critical", "high", "medium", "low", "negligible"))},
	}
}

// path reads the name of a file in a folder, or an address.
func path(into *string, dir string) reader {
	return func(at location, node *yaml.Node) error {
		err := text(into, nil)(at, node)
		*into = inFolder(dir, *into)
		return err
	}
}

// words reads a program and its arguments, which may be repeated.
func words(into *[]string) reader {
	return func(at location, node *yaml.Node) error {
		if node.Kind != yaml.SequenceNode || len(node.Content) == 0 {
			return at.wrong(node, "")
		}
		for _, element := range node.Content {
			word := ""
			if err := text(&word, nil)(at, resolved(element)); err != nil {
				return err
			}
			*into = append(*into, word)
		}
		if (*into)[0] == "" {
			return at.wrong(node, "it has no program")
		}
		if !slices.ContainsFunc(*into, func(word string) bool { return strings.Contains(word, "{sbom}") }) {
			return at.wrong(node, "it has no {sbom}")
		}
		return nil
	}
}
