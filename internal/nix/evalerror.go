package nix

import (
	"errors"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/private"
	"github.com/libresh/libre/internal/text"
)

// EvaluationFailure says why an app cannot be evaluated.
type EvaluationFailure struct {
	Message string // one line, or one for each problem of a definition; where it is of the package set, with the place in the catalogue that led there
	Log     string // file with all that Nix said; "" where the message says it
}

func (f *EvaluationFailure) Error() string { return withLog(f.Message, f.Log) }

func withLog(message, log string) string {
	if log == "" {
		return message
	}
	return message + "; full log: " + log
}

var (
	// What image.nix adds to the trace: a derivation is evaluated where its path is
	// needed, and then no frame is of the definition that names it.
	madeAt  = regexp.MustCompile(`… libre makes \S+ of what is at (\S+):(\d+):(\d+)`)
	ownFile = regexp.MustCompile(`^(?:nix/)?(?:changes|image|mkApp|mkCatalogue|paths|rootfs|schema|source|types)\.nix$`)
	refused = regexp.MustCompile(`^Package .* refusing to evaluate\.$`)
)

// explanation is what a failed evaluation printed, understood.
type explanation struct {
	message string // one line, with its place if that is in the catalogue; of libre's own words, one for each problem
	outside bool   // it is about files that are neither the catalogue's nor libre's
}

// explain reads what Nix prints with --show-trace. The first error is the one that
// matters: lines of its text may look like others. Up to 2.1x Nix writes the trace
// behind the error, the innermost frame first; later, before it and the other way
// round, with the error's own place behind it.
func explain(dir, log string) explanation {
	lines := strings.Split(text.Output(log), "\n")
	message, at := firstError(lines)
	if message == "" {
		return explanation{}
	}
	before, after := frames(lines[:at]), frames(lines[at:])
	slices.Reverse(before)
	e := explanation{message: inFlake(dir, message)}
	made, root := imagePosition(log)
	place := ""
	for n, frame := range append(after, before...) {
		file := inFlake(dir, frame)
		switch {
		case ownFile.MatchString(fileOf(file)):
			if n == 0 { // libre's own words
				e.message = inFlake(dir, strings.Join(append([]string{message}, messageLines(lines[at+1:])...), "\n"))
				return e
			}
			continue
		case root != "" && strings.HasPrefix(frame, root), strings.HasPrefix(frame, strings.TrimSuffix(dir, "/")+"/"), isCatalogue(file):
			place = file
		default:
			e.outside = true
			continue
		}
		break
	}
	if place == "" && e.outside {
		place = inFlake(dir, made)
	}
	if place != "" {
		e.message = place + ": " + e.message
	}
	if refused.MatchString(message) {
		e.message = strings.TrimSuffix(e.message, ".") + "; to allow it, pass a nixpkgs with that config to mkCatalogue in flake.nix"
	}
	return e
}

// imagePosition gives the place of what an image is made of, and the folder of the
// catalogue; both "" where the trace does not have them.
func imagePosition(log string) (place, root string) {
	found := madeAt.FindStringSubmatch(text.Output(log))
	if found == nil {
		return "", ""
	}
	root, _, _ = strings.Cut(found[1], "/apps/")
	return strings.Join(found[1:], ":"), root + "/"
}

// firstError gives the text of the first error, and its line.
func firstError(lines []string) (string, int) {
	for i, line := range lines {
		if found := errorLine.FindStringSubmatch(line); found != nil && strings.TrimSpace(found[1]) != "" {
			return strings.TrimSpace(found[1]), i
		}
	}
	// A text that begins with an empty line.
	for i := len(lines) - 1; i >= 0; i-- {
		if !errorLine.MatchString(lines[i]) {
			continue
		}
		for n, line := range lines[i+1:] {
			if line = strings.TrimSpace(line); line != "" {
				return line, i + 1 + n
			}
		}
	}
	return "", 0
}

// messageLines are the lines of an error's text behind its first: an empty one ends them.
func messageLines(lines []string) []string {
	var text []string
	for _, line := range lines {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "…") || placeLine.MatchString(line) {
			break
		}
		text = append(text, line)
	}
	return text
}

// frames are the places of a trace, as FILE:LINE:COLUMN, but for Nix's own.
func frames(lines []string) []string {
	var places []string
	for _, line := range lines {
		found := placeLine.FindStringSubmatch(line)
		if found == nil || strings.HasPrefix(found[1], "<") || strings.HasPrefix(found[1], "«nix-internal»") {
			continue
		}
		places = append(places, strings.Join(found[1:], ":"))
	}
	return places
}

// inFlake names files as they are called in their flake; that of the catalogue has
// them in the store or, from 2.3x on, where they are.
func inFlake(dir, text string) string {
	return sourcePath.ReplaceAllString(strings.ReplaceAll(text, strings.TrimSuffix(dir, "/")+"/", ""), "")
}

func fileOf(place string) string {
	file, _, _ := strings.Cut(place, ":")
	return file
}

var catalogueFile = regexp.MustCompile(`^(?:[^/]+/)*?apps/[^/]+/`)

// isCatalogue tells files of a catalogue, which may be in a folder of its repository,
// from those of nixpkgs, which has folders apps too.
func isCatalogue(file string) bool {
	return catalogueFile.MatchString(file) && !strings.HasPrefix(file, "pkgs/") && !strings.HasPrefix(file, "/")
}

// keepLog keeps a whole output in a file that only its user reads, and gives its
// path; "" where it cannot be written.
func (n *Nix) keepLog(name, log string) string {
	path := filepath.Join(n.LogDir, name+".log")
	if private.Folder(n.LogDir) != nil {
		return ""
	}
	file, err := private.Create(path)
	if err != nil {
		return ""
	}
	_, err = file.WriteString(text.Output(log))
	if errors.Join(err, file.Close()) != nil {
		return ""
	}
	return path
}
