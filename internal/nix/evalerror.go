package nix

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/private"
	"github.com/libresh/libre/internal/text"
)

// EvaluationFailure says why an app cannot be evaluated.
type EvaluationFailure struct {
	Message string // one line, or one for each problem of a definition; for an error in the package set, with the position in the catalogue that caused it
	Log     string // path of the full log; "" if the message says everything
}

func (f *EvaluationFailure) Error() string { return withLog(f.Message, f.Log) }

func withLog(message, log string) string {
	if log == "" {
		return message
	}
	return message + "; full log: " + log
}

var (
	// A line that image.nix adds to the trace: a derivation is evaluated where its path
	// is needed, so no frame of the trace is in the definition that uses it.
	madeAt  = lazyregexp.New(`… while making the image \S+, defined at (\S+):(\d+):(\d+)`)
	ownFile = lazyregexp.New(`^(?:nix/)?(?:changes|image|mkApp|mkCatalogue|paths|rootfs|schema|source|types)\.nix$`)
	refused = lazyregexp.New(`^Package .* refusing to evaluate\.$`)
)

// explanation is the parsed error of an evaluation.
type explanation struct {
	message string // one line, with its position if that is in the catalogue; for libre's own errors, a line for each problem
	outside bool   // the error is in files of neither the catalogue nor libre
}

// explain parses the output of Nix with --show-trace. Only the first error counts, as
// lines of its text may look like errors. Up to 2.1x Nix prints the trace after the
// error, the innermost frame first; later versions print it before the error, in reverse,
// with the error's own position after it.
func explain(dir, log string) explanation {
	lines := strings.Split(text.Output(log), "\n")
	message, at := firstError(lines)
	if message == "" {
		return explanation{}
	}
	if gitFailed().MatchString(message) {
		message += gitFatalLine(log)
	}
	before, after := frames(lines[:at]), frames(lines[at:])
	slices.Reverse(before)
	e := explanation{message: inFlake(dir, message)}
	image, root := imagePosition(log)
	position := ""
	for n, frame := range append(after, before...) {
		file := inFlake(dir, frame)
		switch {
		case ownFile().MatchString(fileOf(file)):
			if n == 0 { // an error of libre's own code
				e.message = inFlake(dir, strings.Join(append([]string{message}, messageLines(lines[at+1:])...), "\n"))
				return e
			}
			continue
		case root != "" && strings.HasPrefix(frame, root), strings.HasPrefix(frame, strings.TrimSuffix(dir, "/")+"/"), isCatalogue(file):
			position = file
		default:
			e.outside = true
			continue
		}
		break
	}
	if position == "" && e.outside {
		position = inFlake(dir, image)
	}
	if position != "" {
		e.message = position + ": " + e.message
	}
	if refused().MatchString(message) {
		e.message = strings.TrimSuffix(e.message, ".") + "; to allow it, pass a nixpkgs with that config to mkCatalogue in flake.nix"
	}
	return e
}

// imagePosition returns the position of an image's definition, and the folder of the
// catalogue, from the trace; "" if it has none.
func imagePosition(log string) (position, root string) {
	found := madeAt().FindStringSubmatch(text.Output(log))
	if found == nil {
		return "", ""
	}
	root, _, _ = strings.Cut(found[1], "/apps/")
	return strings.Join(found[1:], ":"), root + "/"
}

// firstError returns the text of the first error, and its line.
func firstError(lines []string) (string, int) {
	for i, line := range lines {
		if found := errorLine().FindStringSubmatch(line); found != nil && strings.TrimSpace(found[1]) != "" {
			return strings.TrimSpace(found[1]), i
		}
	}
	// The text may begin with an empty line.
	for i := len(lines) - 1; i >= 0; i-- {
		if !errorLine().MatchString(lines[i]) {
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

// messageLines returns the lines of an error's text after its first, up to an empty one.
func messageLines(lines []string) []string {
	var text []string
	for _, line := range lines {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "…") || placeLine().MatchString(line) {
			break
		}
		text = append(text, line)
	}
	return text
}

// frames returns the positions of a trace, as FILE:LINE:COLUMN, without those of Nix.
func frames(lines []string) []string {
	var positions []string
	for _, line := range lines {
		found := placeLine().FindStringSubmatch(line)
		if found == nil || strings.HasPrefix(found[1], "<") || strings.HasPrefix(found[1], "«nix-internal»") {
			continue
		}
		positions = append(positions, strings.Join(found[1:], ":"))
	}
	return positions
}

// inFlake replaces paths in the store, or, from 2.3x on, in the catalogue's folder, by
// paths in the flake.
func inFlake(dir, text string) string {
	return sourcePath().ReplaceAllString(strings.ReplaceAll(text, strings.TrimSuffix(dir, "/")+"/", ""), "")
}

func fileOf(position string) string {
	file, _, _ := strings.Cut(position, ":")
	return file
}

var catalogueFile = lazyregexp.New(`^(?:[^/]+/)*?apps/[^/]+/`)

// isCatalogue reports whether a file belongs to a catalogue, which may be in a folder of its
// repository. It excludes nixpkgs, which has folders named apps too.
func isCatalogue(file string) bool {
	return catalogueFile().MatchString(file) && !strings.HasPrefix(file, "pkgs/") && !strings.HasPrefix(file, "/")
}

// keepLog writes an output to a private file, and returns its path; "" if that fails.
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
